/* Block allocator of one scan; the functions that formats use are in format.h. */
#ifndef GUARD_ARENA_H
#define GUARD_ARENA_H

#include "format.h"

struct arena_block;

struct arena {
    struct scan_memory memory;
    struct arena_block *last; /* newest; each knows the one before */
    size_t total;             /* bytes taken from memory, at most LIMIT_ARENA */
    bool exhausted;           /* a take failed: whatever was being analysed is not fully known */
};

void arena_open(struct arena *arena, const struct scan_memory *memory);
void arena_close(struct arena *arena); /* gives everything back */

#endif
