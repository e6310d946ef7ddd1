/* A hash from 64-bit keys to 64-bit values that grows up to a cap. */
#ifndef GUARD_MAP_H
#define GUARD_MAP_H

#include "scan.h"

struct map_slot {
    uint64_t key; /* plus one; 0: free */
    uint64_t value;
};

struct map {
    struct map_slot *slots;
    size_t capacity, count;
};

/* The value of `key`, or NULL. Valid until the next map_put. */
uint64_t *map_get(const struct map *map, uint64_t key);
/* Sets it. False: no memory, or already `limit` keys. UINT64_MAX is no key. */
bool map_put(struct map *map, const struct scan_memory *memory, size_t limit, uint64_t key, uint64_t value);
void map_clear(struct map *map, const struct scan_memory *memory); /* gives the memory back */

#endif
