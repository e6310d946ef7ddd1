/* The way to a value in a text of objects and arrays, as people write it: `vision_config.auto_map.AutoModel`,
 * `modules[2].type`. Kept by the readers of such texts (json.h, yaml.h), who count the depth themselves. */
#ifndef GUARD_WAY_H
#define GUARD_WAY_H

#include "format.h"

struct way_level {
    uint32_t index; /* of the element, in an array */
    uint16_t key_start, key_length;
    bool array;
    bool begun; /* a key or an element is in force */
};

struct way {
    struct way_level *levels; /* LIMIT_JSON_DEPTH of them */
    char *keys;               /* keys on the way to here, one after the other; very long ones are cut */
    size_t keys_length;
};

/* False: no memory. */
bool way_open(struct way *way, struct arena *arena);

/* An object or array begins at `depth`, counted from 0 (below LIMIT_JSON_DEPTH). */
void way_enter(struct way *way, unsigned depth, bool array);
/* The one at `depth` ends. */
void way_leave(struct way *way, unsigned depth);
/* What comes next in the object at `depth` stands under this key. */
void way_key(struct way *way, unsigned depth, const char *key, size_t length);
/* What comes next in the array at `depth` is its first or next element. */
void way_element(struct way *way, unsigned depth);

/* Writes the way through `depth` levels. Very long ways are cut at the end. NUL-terminates; returns the length. */
size_t way_text(const struct way *way, unsigned depth, char *buffer, size_t size);

#endif
