/* Where in a JSON text does a parsed value stand? cJSON does not remember, so the text is read again. */
#ifndef GUARD_POLICY_POSITION_H
#define GUARD_POLICY_POSITION_H

#include <cjson/cJSON.h>
#include <stddef.h>

struct position {
    size_t offset;         /* from the start of the text */
    unsigned line, column; /* from 1; columns count bytes */
};

/* Line and column of the byte at `offset`. */
struct position position_at(const char *text, size_t length, size_t offset);

/* Where the value `node` of the tree `root` begins (position_of_value), or the key that holds it (position_of_key; the
 * value itself where it has none). `root` must have been parsed from `text`. */
struct position position_of_value(const char *text, size_t length, const cJSON *root, const cJSON *node);
struct position position_of_key(const char *text, size_t length, const cJSON *root, const cJSON *node);

#endif
