#include "arena.h"

#include <string.h>

/* Of a size that one block holds the window of a reader and a good deal of names. */
#define BLOCK_SIZE ((size_t)128 << 10)
#define ALIGNMENT ((size_t)16)

struct arena_block {
    struct arena_block *before;
    size_t size;    /* with this header */
    size_t used;    /* with this header */
    size_t touched; /* bytes from here on are still as zero as they came */
    _Alignas(16) unsigned char bytes[];
};

void arena_open(struct arena *arena, const struct scan_memory *memory)
{
    *arena = (struct arena){.memory = *memory};
}

static void block_give(struct arena *arena)
{
    struct arena_block *block = arena->last;

    arena->last = block->before;
    arena->total -= block->size;
    arena->memory.give(arena->memory.context, block, block->size);
}

void arena_close(struct arena *arena)
{
    while (arena->last)
        block_give(arena);
}

static bool block_take(struct arena *arena, size_t bytes)
{
    size_t size = bytes + sizeof(struct arena_block);
    struct arena_block *block;

    if (size < BLOCK_SIZE)
        size = BLOCK_SIZE;
    if (size > LIMIT_ARENA - arena->total)
        return false;
    bool any = arena->memory.take_any != NULL;
    block = (any ? arena->memory.take_any : arena->memory.take)(arena->memory.context, size);
    if (!block)
        return false;
    *block = (struct arena_block){arena->last, size, sizeof *block, any ? size : sizeof *block};
    arena->last = block;
    arena->total += size;
    return true;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    struct arena_block *block;
    unsigned char *taken;
    size_t end;

    if (bytes > LIMIT_ARENA) {
        arena->exhausted = true;
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    block = arena->last;
    if (!block || bytes > block->size - block->used) {
        if (!block_take(arena, bytes)) {
            arena->exhausted = true;
            return NULL;
        }
        block = arena->last;
    }
    taken = (unsigned char *)block + block->used;
    end = block->used + bytes;
    if (block->used < block->touched)
        memset(taken, 0, (end < block->touched ? end : block->touched) - block->used);
    if (block->touched < end)
        block->touched = end;
    block->used = end;
    return taken;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
    char *copy = length < LIMIT_ARENA ? arena_take(arena, length + 1) : NULL;

    if (copy)
        memcpy(copy, text, length);
    return copy;
}

struct arena_mark arena_mark(struct arena *arena)
{
    return (struct arena_mark){arena->last, arena->last ? arena->last->used : 0};
}

void arena_release(struct arena *arena, struct arena_mark mark)
{
    while (arena->last != mark.block)
        block_give(arena);
    if (arena->last)
        arena->last->used = mark.used;
}
