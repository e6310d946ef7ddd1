#include "pickle_stack.h"

#include <string.h>

enum stream_end limit_reached(struct machine *machine, const char *token, const char *detail)
{
    if (machine->scan->stopped)
        return STREAM_FAILED;
    scan_is(machine->scan, "pickle");
    scan_opaque(machine->scan, "pickle", token, machine->offset, detail);
    return STREAM_LIMIT;
}

enum stream_end stack_grow(struct machine *machine)
{
    void *grown = machine->stack;

    if (!vector_grow(machine, &grown, &machine->stack_capacity, machine->depth + 1, sizeof *machine->stack,
                     LIMIT_PICKLE_ENTRIES))
        return limit_reached(machine, "pickle-stack-limit", "more values on the stack than are kept track of");
    machine->stack = grown;
    return STREAM_GOES_ON;
}

enum stream_end mark_push(struct machine *machine)
{
    void *grown = machine->marks;

    if (machine->mark_count == machine->mark_capacity) {
        if (!vector_grow(machine, &grown, &machine->mark_capacity, machine->mark_count + 1, sizeof *machine->marks,
                         LIMIT_PICKLE_ENTRIES))
            return limit_reached(machine, "pickle-stack-limit", "more marks than are kept track of");
        machine->marks = grown;
    }
    machine->marks[machine->mark_count++] = machine->depth;
    machine->fence = machine->depth;
    return STREAM_GOES_ON;
}

void memo_clear(struct machine *machine)
{
    uint64_t chunk;

    for (chunk = 0; chunk * MEMO_CHUNK < machine->memo_high; chunk++)
        if (machine->memo[chunk])
            memset(machine->memo[chunk], 0, MEMO_CHUNK * sizeof(word));
    map_clear(&machine->sparse, &machine->scan->request->memory);
    machine->memo_high = machine->memo_count = 0;
}

static word *memo_slot(struct machine *machine, uint64_t index)
{
    word *chunk = index < machine->memo_high ? machine->memo[index / MEMO_CHUNK] : NULL;

    return chunk && chunk[index % MEMO_CHUNK] ? &chunk[index % MEMO_CHUNK] : map_get(&machine->sparse, index);
}

static bool memo_grow(struct machine *machine, uint64_t index)
{
    size_t capacity = 0;
    void *taken = NULL;

    if (!machine->memo) {
        if (!vector_grow(machine, &taken, &capacity, MEMO_CHUNKS, sizeof *machine->memo, MEMO_CHUNKS))
            return false;
        machine->memo = taken;
    }
    if (!machine->memo[index / MEMO_CHUNK]) {
        taken = NULL;
        capacity = 0;
        if (!vector_grow(machine, &taken, &capacity, MEMO_CHUNK, sizeof(word), MEMO_CHUNK))
            return false;
        machine->memo[index / MEMO_CHUNK] = taken;
    }
    return true;
}

/* Indexes near the count go into chunks; far ones, which no pickler writes, into a small map. */
enum stream_end memo_put(struct machine *machine, uint64_t index)
{
    word *slot = memo_slot(machine, index);

    if (above(machine) == 0)
        return STREAM_INVALID;
    if (slot) {
        *slot = *top(machine);
        return STREAM_GOES_ON;
    }
    if (index >= LIMIT_PICKLE_ENTRIES || index > 2 * machine->memo_count + 8 * MEMO_CHUNK) {
        if (!map_put(&machine->sparse, &machine->scan->request->memory, LIMIT_PICKLE_SPARSE, index, *top(machine)))
            return limit_reached(machine, "pickle-memo-limit", "more memo entries than are kept track of");
    } else {
        if (!memo_grow(machine, index))
            return STREAM_FAILED;
        machine->memo[index / MEMO_CHUNK][index % MEMO_CHUNK] = *top(machine);
        if (machine->memo_high <= index)
            machine->memo_high = index + 1;
    }
    machine->memo_count++;
    return STREAM_GOES_ON;
}

enum stream_end memo_get(struct machine *machine, uint64_t index)
{
    const word *slot = memo_slot(machine, index);

    return slot ? push(machine, *slot) : STREAM_INVALID;
}
