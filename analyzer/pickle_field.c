#include "pickle_field.h"
#include "pickle_stack.h"

#include <string.h>

bool field_cut(struct machine *machine, uint64_t start)
{
    uint64_t frame_end = machine->frame_end;

    if (machine->reader.position <= frame_end || start >= frame_end)
        return false;
    machine->frames_differ = machine->frames_cut = true;
    if (!machine->cutting)
        return false;
    machine->reader.position = frame_end;
    machine->frame_end = UINT64_MAX;
    return true;
}

enum number { NUMBER_FITS, NUMBER_LARGE, NUMBER_NONE };

static unsigned digit_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? (unsigned)c - 'a' + 10 : 36;
}

/* The number in a line as int() with base 0 or 10 and strtol read it; what follows the digits is not looked at. */
static enum number number_read(const unsigned char *line, size_t length, unsigned base, int64_t *number)
{
    size_t at = 0;
    bool negative = false, any = false;
    uint64_t value = 0;

    *number = 0;
    while (at < length && (line[at] == ' ' || (line[at] >= '\t' && line[at] <= '\r')))
        at++;
    if (at < length && (line[at] == '-' || line[at] == '+'))
        negative = line[at++] == '-';
    if (base == 0) {
        base = 10;
        if (at + 1 < length && line[at] == '0') {
            unsigned char letter = line[at + 1] | 0x20;

            base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
            if (base != 10)
                at += 2;
        }
    }
    for (; at < length; at++) {
        unsigned digit = digit_value(line[at]);

        if (line[at] == '_')
            continue;
        if (digit >= base)
            break;
        if (value > (UINT64_MAX >> 2) / 16)
            return NUMBER_LARGE;
        value = value * base + digit;
        any = true;
    }
    *number = negative ? -(int64_t)value : (int64_t)value;
    return any ? NUMBER_FITS : NUMBER_NONE;
}

static bool line_read(struct machine *machine, const unsigned char **line, uint64_t *length)
{
    struct reader *reader = &machine->reader;
    size_t got;

    if (reader_line(reader, LIMIT_PEEK, line, &got)) {
        *length = got;
        return true;
    }
    *line = reader_rest(reader, LIMIT_PEEK, &got);
    if (!*line)
        return false;
    if (got >= LIMIT_PEEK) {
        /* Longer than can be shown in one piece: the caller gets its beginning. */
        uint64_t start = reader->position;
        unsigned char *copy = (unsigned char *)machine->scratch;

        memcpy(copy, *line, LIMIT_NAME + 2);
        *line = copy;
        if (!reader_skip_line(reader, length)) {
            *length = reader->end - start;
            reader->position = reader->end;
        }
        return true;
    }
    reader->position += got;
    *length = got - 1;
    return true;
}

bool line_take(struct machine *machine, const unsigned char **line, uint64_t *length)
{
    uint64_t start = machine->reader.position;

    return line_read(machine, line, length) && (!field_cut(machine, start) || line_read(machine, line, length));
}

enum stream_end op_number(struct machine *machine, unsigned char op)
{
    const unsigned char *line;
    uint64_t length;
    int64_t value;
    enum number number;

    if (!line_take(machine, &line, &length))
        return STREAM_TRUNCATED;
    if (op == OP_FLOAT)
        return push(machine, word_number(machine->offset));
    if (op == OP_INT && length == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1'))
        return push(machine, TAG_BOOL | (word)(line[1] - '0') << 4);
    number = length > LIMIT_PEEK ? NUMBER_LARGE
             : number_read(line, (size_t)length, op == OP_INT || op == OP_LONG ? 0 : 10, &value);
    if (number == NUMBER_NONE)
        return STREAM_INVALID;
    if (op == OP_INT || op == OP_LONG)
        return push(machine, number == NUMBER_FITS ? word_int(value, machine->offset) : word_number(machine->offset));
    /* Python's memo takes an index of any size. */
    if (number == NUMBER_LARGE)
        return limit_reached(machine, "pickle-memo-limit", "a memo index beyond all use");
    if (value < 0)
        return STREAM_INVALID;
    return op == OP_PUT ? memo_put(machine, (uint64_t)value) : memo_get(machine, (uint64_t)value);
}

enum stream_end op_line(struct machine *machine, unsigned char op)
{
    uint64_t length = 0, start = machine->reader.position;
    const unsigned char *line;

    if (!reader_skip_line(&machine->reader, &length) && !line_read(machine, &line, &length))
        return STREAM_TRUNCATED;
    if (field_cut(machine, start)) {
        start = machine->reader.position;
        if (!reader_skip_line(&machine->reader, &length) && !line_read(machine, &line, &length))
            return STREAM_TRUNCATED;
        /* The text does not lie where its opcode says. */
        return push(machine, value_made(machine, TAG_OBJECT, NAMES_MAX));
    }
    if (op == OP_PERSID)
        return push(machine, value_made(machine, TAG_OBJECT, NAMES_MAX));
    return push(machine, word_text(op == OP_STRING ? TAG_STRING8 : TAG_STRING, machine->offset, length) | TEXT_ESCAPED);
}

enum stream_end op_sized(struct machine *machine, unsigned char op, uint64_t length)
{
    uint64_t start = machine->reader.position;
    enum tag tag;

    if ((op == OP_BINSTRING || op == OP_LONG4) && length > INT32_MAX)
        return STREAM_INVALID;
    if (!reader_skip(&machine->reader, length))
        return STREAM_TRUNCATED;
    /* Bytes are copied piece by piece, and nothing of them is dropped. */
    if (op != OP_BINBYTES && op != OP_SHORT_BINBYTES && op != OP_BINBYTES8 && op != OP_BYTEARRAY8 &&
        field_cut(machine, start)) {
        if (!reader_skip(&machine->reader, length))
            return STREAM_TRUNCATED;
        return push(machine, value_made(machine, TAG_OBJECT, NAMES_MAX));
    }
    switch (op) {
    case OP_LONG1:
    case OP_LONG4:
        return push(machine, length ? word_number(machine->offset) : word_int(0, 0));
    case OP_BINSTRING:
    case OP_SHORT_BINSTRING:
        tag = TAG_STRING8;
        break;
    case OP_BINUNICODE:
    case OP_SHORT_BINUNICODE:
    case OP_BINUNICODE8:
        tag = TAG_STRING;
        break;
    default:
        tag = TAG_BYTES;
        break;
    }
    return push(machine, word_text(tag, machine->offset, length));
}
