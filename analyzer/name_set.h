/* A set of names, kept as hashes. Equal hashes of different names would be an error once in 2^32 files with
 * 2^16 names. */
#ifndef GUARD_NAME_SET_H
#define GUARD_NAME_SET_H

#include "format.h"

struct name_set {
    uint64_t *slots; /* 0: free; linear probing */
    size_t mask, used;
};

/* Room for `count` names. False: no memory. */
bool name_set_open(struct name_set *set, struct arena *arena, size_t count);

void name_set_clear(struct name_set *set);

/* FNV-1a; for a name that comes in pieces start with NAME_HASH and go on with what came out. Never 0. */
#define NAME_HASH 14695981039346656037u
uint64_t name_hash(uint64_t hash, const void *name, size_t length);

bool name_set_has(const struct name_set *set, uint64_t hash);

/* False when it is there already, or the set is full. */
bool name_set_add(struct name_set *set, uint64_t hash);

static inline bool name_set_full(const struct name_set *set) { return set->used > set->mask / 2; }

#endif
