/* The pickle machine's stack and marks, for the rooms that execute opcodes. */
#ifndef GUARD_PICKLE_STACK_H
#define GUARD_PICKLE_STACK_H

#include "pickle.h"

/* Says that a cap of ours was reached; the stream ends here. */
enum stream_end limit_reached(struct machine *machine, const char *token, const char *detail);
enum stream_end stack_grow(struct machine *machine); /* room for one more value */
enum stream_end mark_push(struct machine *machine);
/* PUT of the top value, and GET, at `index`. */
enum stream_end memo_put(struct machine *machine, uint64_t index);
enum stream_end memo_get(struct machine *machine, uint64_t index);
void memo_clear(struct machine *machine);
/* pickle_plain.c: executes the opcodes that the window holds whole, up to the end of a frame. */
enum stream_end plain_run(struct machine *machine);
/* pickle_machine.c: one opcode, whose `fixed` part has been taken. */
enum stream_end op_execute(struct machine *machine, unsigned char op, const unsigned char *fixed);

static inline enum stream_end push(struct machine *machine, word value)
{
    enum stream_end end = machine->depth == machine->stack_capacity ? stack_grow(machine) : STREAM_GOES_ON;

    if (end == STREAM_GOES_ON)
        machine->stack[machine->depth++] = value;
    return end;
}

/* Items above the last mark, which alone the opcodes may take. */
static inline size_t above(const struct machine *machine) { return machine->depth - machine->fence; }
static inline word *top(struct machine *machine) { return &machine->stack[machine->depth - 1]; }
/* What lies from `first` up; NULL where that is nothing, as there may be no stack yet. */
static inline word *stack_from(struct machine *machine, size_t first)
{
    return first < machine->depth ? machine->stack + first : NULL;
}

/* Removes the last mark; the items above it stay, from `*first` on. False: there is none. */
static inline bool mark_pop(struct machine *machine, size_t *first)
{
    if (machine->mark_count == 0)
        return false;
    *first = machine->marks[--machine->mark_count];
    machine->fence = machine->mark_count ? machine->marks[machine->mark_count - 1] : 0;
    return true;
}

#endif
