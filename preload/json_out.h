/* Writes JSON into a caller's buffer: no stdio, no locale, no allocation. Used by records and by the command. */
#ifndef GUARD_JSON_OUT_H
#define GUARD_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value that does not fit sets `truncated` and is left out whole, an object or array with all that is in it; room for
 * the closing brackets is always kept, so what was written stays valid JSON. The buffer is NUL-terminated at all times.
 */
struct json_out {
    char *buffer;
    size_t size, length;
    unsigned depth;   /* of open objects and arrays */
    unsigned skipped; /* objects and arrays under way that did not fit */
    bool comma;       /* the next value needs one */
    bool truncated;
};

void json_out_start(struct json_out *out, char *buffer, size_t size);
void json_out_object(struct json_out *out, const char *key); /* key NULL inside an array or at the top */
void json_out_array(struct json_out *out, const char *key);
void json_out_close_object(struct json_out *out);
void json_out_close_array(struct json_out *out);
/* NULL gives null. Bytes that are no UTF-8 come out as U+DC80+byte surrogate escapes, as Python's os.fsdecode does. */
void json_out_string(struct json_out *out, const char *key, const char *value);
void json_out_number(struct json_out *out, const char *key, int64_t value);
void json_out_bool(struct json_out *out, const char *key, bool value);
void json_out_null(struct json_out *out, const char *key);

#endif
