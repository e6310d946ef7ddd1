/* Inside json*.c only: the bytes of a JSON text as UTF-8, whatever its encoding. */
#ifndef GUARD_JSON_BYTES_H
#define GUARD_JSON_BYTES_H

#include "json.h"

/* Finds out the encoding as Lib/json/__init__.py does, and moves behind a byte order mark. */
void json_bytes_begin(struct json *json);

/* Makes at least one more byte ready. False at the end or on error. A wide source that ends in half a unit or holds no
 * code point ends there: what came before it has been seen. */
bool json_fill(struct json *json);

static inline bool json_ready(struct json *json)
{
    return json->next != json->end || json_fill(json);
}

#endif
