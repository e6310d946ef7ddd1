/* Runs of opcodes that the window holds whole. Most of a pickle pushes plain values and puts them into the memo: those
 * are done here, the rest by op_execute(), without going back to the reader for each. */
#include "pickle_stack.h"

/* The longest opcode with its fixed part. */
#define STEP_LENGTH 9

/* A text of which `head` bytes are opcode and length. NULL where the window does not hold it. */
static const unsigned char *text_behind(const unsigned char *at, const unsigned char *end, size_t head, uint64_t length)
{
    return length < (size_t)(end - at) - head ? at + head + (size_t)length : NULL;
}

/* TAG_NOTHING: it is not there, or far away. */
static inline word memo_find(const struct machine *machine, uint64_t index)
{
    const word *chunk = index < machine->memo_high ? machine->memo[index / MEMO_CHUNK] : NULL;

    return chunk ? chunk[index % MEMO_CHUNK] : (word)TAG_NOTHING;
}

/* Pushes the value of the opcode at `at` and returns what is behind it; NULL when it is none of these. */
static inline const unsigned char *value_step(const struct machine *machine, const unsigned char *at,
                                              const unsigned char *end, uint64_t offset, word *to)
{
    const unsigned char *behind;

    switch (*at) {
    case OP_BININT1:
        *to = word_int(at[1], 0);
        return at + 2;
    case OP_BININT2:
        *to = word_int(load_le16(at + 1), 0);
        return at + 3;
    case OP_BININT:
        *to = word_int((int32_t)load_le32(at + 1), 0);
        return at + 5;
    case OP_BINFLOAT:
        *to = word_number(offset);
        return at + 9;
    case OP_SHORT_BINUNICODE:
        behind = text_behind(at, end, 2, at[1]);
        *to = word_text(TAG_STRING, offset, at[1]);
        return behind;
    case OP_SHORT_BINBYTES:
        behind = text_behind(at, end, 2, at[1]);
        *to = word_text(TAG_BYTES, offset, at[1]);
        return behind;
    case OP_BINUNICODE:
        behind = text_behind(at, end, 5, load_le32(at + 1));
        *to = word_text(TAG_STRING, offset, load_le32(at + 1));
        return behind;
    case OP_BINGET:
        *to = memo_find(machine, at[1]);
        return *to == TAG_NOTHING ? NULL : at + 2;
    case OP_LONG_BINGET:
        *to = memo_find(machine, load_le32(at + 1));
        return *to == TAG_NOTHING ? NULL : at + 5;
    default:
        return NULL;
    }
}

/* PUT as picklers write it: at the next index, in a chunk that is there. False: it is not as simple as that. */
static inline bool memo_append(struct machine *machine, uint64_t index, word value)
{
    if (index != machine->memo_high || index % MEMO_CHUNK == 0 || machine->sparse.count)
        return false;
    machine->memo[index / MEMO_CHUNK][index % MEMO_CHUNK] = value;
    machine->memo_high++;
    machine->memo_count++;
    return true;
}

/* Remembers `value`, the top of the stack, and returns what is behind the opcode at `at`; NULL when it is no such. */
static inline const unsigned char *memo_step(struct machine *machine, const unsigned char *at, word value)
{
    switch (*at) {
    case OP_MEMOIZE:
        return memo_append(machine, machine->memo_count, value) ? at + 1 : NULL;
    case OP_BINPUT:
        return memo_append(machine, at[1], value) ? at + 2 : NULL;
    case OP_LONG_BINPUT:
        return memo_append(machine, load_le32(at + 1), value) ? at + 5 : NULL;
    default:
        return NULL;
    }
}

/* What the opcodes without any argument push. */
static const word constants[256] = {
    [OP_NONE] = TAG_NONE, [OP_NEWTRUE] = TAG_BOOL | 1 << 4, [OP_NEWFALSE] = TAG_BOOL, [OP_EMPTY_TUPLE] = TAG_TUPLE,
};

/* Pushes the values of the opcodes from `at` on, and returns the first that is none of these, or would not fit. */
static const unsigned char *values_run(struct machine *machine, const unsigned char *at, const unsigned char *stop,
                                       uint64_t offset)
{
    const unsigned char *first = at, *behind;
    word *base, *full, *to;

    if (!machine->stack) /* the first push makes it */
        return at;
    base = machine->stack + machine->fence;
    full = machine->stack + machine->stack_capacity;
    to = machine->stack + machine->depth;

    while (stop - at > STEP_LENGTH && to < full) {
        if (constants[*at]) {
            *to++ = constants[*at++];
            continue;
        }
        behind = value_step(machine, at, stop, offset + (uint64_t)(at - first), to);
        if (behind)
            to++;
        else if (to == base || !(behind = memo_step(machine, at, to[-1])))
            break;
        at = behind;
    }
    machine->depth = (size_t)(to - machine->stack);
    return at;
}

enum stream_end plain_run(struct machine *machine)
{
    struct reader *reader = &machine->reader;
    uint64_t start = reader->position, frame_end = machine->frame_end, next;
    const unsigned char *window, *at, *stop, *behind;
    enum stream_end end = STREAM_GOES_ON;
    size_t got;

    window = at = reader_rest(reader, STEP_LENGTH, &got);
    if (!at || start >= frame_end || start + got >= PLACE_MAX)
        return STREAM_GOES_ON;
    if (got >= frame_end - start)
        got = (size_t)(frame_end - start) - 1;
    stop = at + got;
    do {
        at = values_run(machine, at, stop, start + (uint64_t)(at - window));
        machine->offset = reader->position = start + (uint64_t)(at - window);
        if (stop - at <= STEP_LENGTH)
            return STREAM_GOES_ON;
        machine->steps++;
        behind = at + 1 + pickle_shapes[*at].fixed;
        reader->position = next = start + (uint64_t)(behind - window);
        end = op_execute(machine, *at, at + 1);
        at = behind;
    } while (end == STREAM_GOES_ON && reader->position == next && machine->frame_end == frame_end &&
             !machine->scan->stopped);
    return end;
}
