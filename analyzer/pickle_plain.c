/* Opcodes that push a plain value, or deal with the memo, taken as long as the window holds them whole: most of a pickle is
 * made of them, and they need no more than this. What is not done here is left where it is. */
#include "pickle_stack.h"

/* The longest opcode with its fixed part. */
#define STEP_LENGTH 9

/* A text of which `head` bytes are opcode and length. NULL where the window does not hold it. */
static const unsigned char *text_behind(const unsigned char *at, const unsigned char *end, size_t head, uint64_t length)
{
    return length < (size_t)(end - at) - head ? at + head + (size_t)length : NULL;
}

/* MEMOIZE and the binary PUTs and GETs; `at` is moved behind it. */
static enum stream_end memo_step(struct machine *machine, const unsigned char **at)
{
    const unsigned char *op = *at;

    *at += 1 + pickle_shapes[*op].fixed;
    switch (*op) {
    case OP_MEMOIZE:
        return memo_put(machine, machine->memo_count);
    case OP_BINPUT:
        return memo_put(machine, op[1]);
    case OP_LONG_BINPUT:
        return memo_put(machine, load_le32(op + 1));
    case OP_BINGET:
        return memo_get(machine, op[1]);
    default:
        return memo_get(machine, load_le32(op + 1));
    }
}

/* Pushes the value of the opcode at `at` and returns what is behind it; NULL when it is none of these. */
static inline const unsigned char *value_step(const unsigned char *at, const unsigned char *end, uint64_t offset, word *to)
{
    const unsigned char *behind;

    switch (*at) {
    case OP_NONE:
        *to = TAG_NONE;
        return at + 1;
    case OP_NEWTRUE:
        *to = TAG_BOOL | 1 << 4;
        return at + 1;
    case OP_NEWFALSE:
        *to = TAG_BOOL;
        return at + 1;
    case OP_EMPTY_TUPLE:
        *to = TAG_TUPLE;
        return at + 1;
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
    default:
        return NULL;
    }
}

static inline bool is_memo_step(unsigned char op)
{
    return op == OP_MEMOIZE || op == OP_BINPUT || op == OP_BINGET || op == OP_LONG_BINPUT || op == OP_LONG_BINGET;
}

enum stream_end plain_run(struct machine *machine)
{
    struct reader *reader = &machine->reader;
    uint64_t start = reader->position;
    enum stream_end end = STREAM_GOES_ON;
    const unsigned char *window, *at, *stop, *behind;
    size_t got;

    window = at = reader_rest(reader, STEP_LENGTH, &got);
    /* The end of a frame matters to readers: it is for the careful way. */
    if (!at || start >= machine->frame_end)
        return STREAM_GOES_ON;
    if (got >= machine->frame_end - start)
        got = (size_t)(machine->frame_end - start) - 1;
    stop = at + got;
    while (stop - at > STEP_LENGTH && machine->depth < machine->stack_capacity && end == STREAM_GOES_ON) {
        word *to = machine->stack + machine->depth, *full = machine->stack + machine->stack_capacity;

        while (to < full && stop - at > STEP_LENGTH &&
               (behind = value_step(at, stop, start + (uint64_t)(at - window), to)) != NULL) {
            at = behind;
            to++;
        }
        machine->depth = (size_t)(to - machine->stack);
        if (stop - at <= STEP_LENGTH || to == full || !is_memo_step(*at))
            break;
        machine->offset = start + (uint64_t)(at - window);
        end = memo_step(machine, &at);
    }
    reader->position = start + (uint64_t)(at - window);
    return end;
}
