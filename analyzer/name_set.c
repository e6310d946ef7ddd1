#include "name_set.h"

#include <string.h>

bool name_set_open(struct name_set *set, struct arena *arena, size_t count)
{
    size_t slots = 64;
    while (slots / 2 <= count)
        slots *= 2;
    *set = (struct name_set){arena_take(arena, slots * sizeof(uint64_t)), slots - 1, 0};
    return set->slots != NULL;
}

void name_set_clear(struct name_set *set)
{
    if (set->used)
        memset(set->slots, 0, (set->mask + 1) * sizeof *set->slots);
    set->used = 0;
}

uint64_t name_hash(uint64_t hash, const void *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const unsigned char *)name)[i]) * 1099511628211u;
    return hash ? hash : 1;
}

/* The slot of `hash`, or the free one where it would stand. */
static uint64_t *slot_find(const struct name_set *set, uint64_t hash)
{
    size_t i = (size_t)hash & set->mask;
    while (set->slots[i] && set->slots[i] != hash)
        i = (i + 1) & set->mask;
    return &set->slots[i];
}

bool name_set_has(const struct name_set *set, uint64_t hash)
{
    return *slot_find(set, hash) != 0;
}

bool name_set_add(struct name_set *set, uint64_t hash)
{
    uint64_t *slot = slot_find(set, hash);
    if (*slot || name_set_full(set))
        return false;
    *slot = hash;
    set->used++;
    return true;
}
