#include "map.h"

#define FIRST_CAPACITY ((size_t)64)

/* Fibonacci hashing with the high half folded in: keys are mostly small consecutive numbers, or picked by an enemy, who
 * gains no more than a slow scan of his own file. */
static size_t slot_start(const struct map *map, uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u;
    return (size_t)(key ^ key >> 32) & (map->capacity - 1);
}

static struct map_slot *slot_find(const struct map *map, uint64_t key)
{
    size_t at = slot_start(map, key);

    while (map->slots[at].key && map->slots[at].key != key + 1)
        at = (at + 1) & (map->capacity - 1);
    return &map->slots[at];
}

uint64_t *map_get(const struct map *map, uint64_t key)
{
    struct map_slot *slot;

    if (!map->count)
        return NULL;
    slot = slot_find(map, key);
    return slot->key ? &slot->value : NULL;
}

static bool map_grow(struct map *map, const struct scan_memory *memory)
{
    struct map old = *map;
    size_t i;

    map->capacity = old.capacity ? old.capacity * 2 : FIRST_CAPACITY;
    map->slots = memory->take(memory->context, map->capacity * sizeof *map->slots);
    if (!map->slots) {
        *map = old;
        return false;
    }
    for (i = 0; i < old.capacity; i++)
        if (old.slots[i].key)
            *slot_find(map, old.slots[i].key - 1) = old.slots[i];
    if (old.slots)
        memory->give(memory->context, old.slots, old.capacity * sizeof *old.slots);
    return true;
}

bool map_put(struct map *map, const struct scan_memory *memory, size_t limit, uint64_t key, uint64_t value)
{
    uint64_t *there = map_get(map, key);
    struct map_slot *slot;

    if (there) {
        *there = value;
        return true;
    }
    if (map->count >= limit || key == UINT64_MAX)
        return false;
    /* At most two thirds full, so that probes stay short. */
    if (map->count + 1 > map->capacity - map->capacity / 3 && !map_grow(map, memory))
        return false;
    slot = slot_find(map, key);
    *slot = (struct map_slot){key + 1, value};
    map->count++;
    return true;
}

void map_clear(struct map *map, const struct scan_memory *memory)
{
    if (map->slots)
        memory->give(memory->context, map->slots, map->capacity * sizeof *map->slots);
    *map = (struct map){0};
}
