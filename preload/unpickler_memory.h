/* Which bytes does an unpickler read that no file's judgement covers? */
#ifndef GUARD_UNPICKLER_MEMORY_H
#define GUARD_UNPICKLER_MEMORY_H

#include "python.h"

/* What an unpickler was given, by `loads` or as a BytesIO. `owner` is kept until unpickler_memory_release(). */
struct unpickler_memory {
    const unsigned char *data;
    size_t length;
    struct py_object *owner;
};

/* More than one where the stack still shows an unpickler that stands still: a few further bytes are looked at then. */
#define UNPICKLER_MEMORIES 4u

/* Finds them from an audit event below the innermost unpickler, in C or in Python; returns how many. 0: it reads
 * from elsewhere, or its object could not be told. GIL held; runs some Python, so not inside guard_enter(). */
unsigned unpickler_memory_find(struct unpickler_memory found[UNPICKLER_MEMORIES]);
void unpickler_memory_release(struct unpickler_memory *found, unsigned count);

#endif
