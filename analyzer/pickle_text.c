#include "pickle.h"
#include "pickle_decode.h"

#include <string.h>

/* The piece of the source around `offset`, kept from one text to the next. NULL: no memory, or the source failed. */
static const struct far *far_at(struct machine *machine, uint64_t offset)
{
    uint64_t start = offset - offset % (sizeof machine->far->bytes / 2);
    struct far *far;
    size_t capacity = 0;
    void *taken = NULL;
    ssize_t got;

    if (!machine->far) {
        if (!vector_grow(machine, &taken, &capacity, FARS, sizeof *machine->far, FARS))
            return NULL;
        machine->far = taken;
    }
    far = &machine->far[start / (sizeof far->bytes / 2) % FARS];
    if (far->length && far->start == start)
        return far;
    far->length = 0;
    got = source_read(machine->reader.source, far->bytes, sizeof far->bytes, start);
    if (got < 0) {
        scan_failed(machine->scan, SCAN_IO, (int)-got);
        return NULL;
    }
    far->start = start;
    far->length = (uint32_t)got;
    return far;
}

/* Bytes at `offset`: from what is buffered, or from the source. Returns how many; 0 also when the source failed. */
static size_t bytes_at(struct machine *machine, uint64_t offset, void *buffer, size_t length)
{
    const struct source *source = machine->reader.source;
    const unsigned char *recent;
    const struct far *far;
    ssize_t got;

    if (offset >= machine->reader.end)
        return 0;
    if (length > machine->reader.end - offset)
        length = (size_t)(machine->reader.end - offset);
    recent = reader_recent(&machine->reader, offset, length);
    if (recent) {
        memcpy(buffer, recent, length);
        return length;
    }
    far = far_at(machine, offset);
    if (far && offset - far->start <= far->length && length <= far->length - (size_t)(offset - far->start)) {
        memcpy(buffer, far->bytes + (size_t)(offset - far->start), length);
        return length;
    }
    if (machine->scan->stopped)
        return 0;
    got = source_read(source, buffer, length, offset);
    if (got < 0) {
        scan_failed(machine->scan, SCAN_IO, (int)-got);
        return 0;
    }
    return (size_t)got;
}

/* Length of the line at `start`, without its newline. */
static uint64_t line_length(struct machine *machine, uint64_t start)
{
    unsigned char piece[512];
    uint64_t at = start;
    size_t got;

    while ((got = bytes_at(machine, at, piece, sizeof piece)) != 0) {
        const unsigned char *newline = memchr(piece, '\n', got);

        if (newline)
            return at + (size_t)(newline - piece) - start;
        at += got;
    }
    return at - start;
}

struct payload {
    unsigned char op;
    uint64_t start, length;
};

static bool payload_find(struct machine *machine, word value, struct payload *payload)
{
    unsigned char head[9];
    uint64_t place = word_place(value);
    size_t got = bytes_at(machine, place, head, sizeof head);
    const struct pickle_shape *shape = &pickle_shapes[head[0]];

    if (got == 0 || got < (size_t)shape->fixed + 1)
        return false;
    payload->op = head[0];
    payload->start = place + 1 + shape->fixed;
    switch (shape->argument) {
    case ARG_SIZED1:
        payload->length = head[1];
        return true;
    case ARG_SIZED4:
        payload->length = load_le32(head + 1);
        return true;
    case ARG_SIZED8:
        payload->length = load_le64(head + 1);
        return true;
    case ARG_LINE:
    case ARG_NUMBER:
        payload->length = line_length(machine, payload->start);
        return true;
    default:
        payload->length = shape->fixed;
        payload->start = place + 1;
        return shape->fixed != 0;
    }
}

bool text_payload(struct machine *machine, word value, uint64_t *start, uint64_t *length)
{
    struct payload payload;

    if (!payload_find(machine, value, &payload))
        return false;
    *start = payload.start;
    *length = payload.length;
    return true;
}

unsigned char text_opcode(struct machine *machine, word value)
{
    struct payload payload;

    return payload_find(machine, value, &payload) ? payload.op : 0;
}

static size_t utf8_write(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | (code >> 18 & 7));
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* The raw-unicode-escape codec: bytes are Latin-1, \uXXXX and \UXXXXXXXX code points. Writes at most twice
 * the length. */
static size_t unicode_decode(const unsigned char *from, size_t length, char *to)
{
    const unsigned char *end = from + length;
    char *at = to;

    while (from < end) {
        uint32_t code = *from++;

        if (code == '\\' && from < end) {
            unsigned char escape = *from++;
            unsigned digits = escape == 'u' ? 4 : escape == 'U' ? 8 : 0;

            if (digits && hex_decode(from, end, digits, &code)) {
                from += digits;
            } else {
                *at++ = '\\';
                code = escape;
            }
        }
        at += utf8_write(at, code);
    }
    return (size_t)(at - to);
}

/* The argument of STRING without its quotes, decoded. */
static size_t string_decode(const unsigned char *from, size_t length, char *to)
{
    const unsigned char *end = from + length;
    char *at = to;

    if (length && (*from == '\'' || *from == '"')) {
        if (length > 1 && end[-1] == *from)
            end--;
        from++;
    }
    while (from < end) {
        unsigned char c = *from++;

        if (c == '\\' && from < end) {
            unsigned char escaped;
            size_t taken = escape_decode(from, end, &escaped);

            c = taken ? escaped : c;
            from += taken;
        }
        *at++ = (char)c;
    }
    return (size_t)(at - to);
}

/* UTF-8 to Latin-1, in place. Where the text has other characters encode() raises, so it does not matter what they
 * become. */
static size_t latin1_encode(char *text, size_t length)
{
    const unsigned char *from = (const unsigned char *)text, *end = from + length;
    char *at = text;

    while (from < end) {
        unsigned char c = *from++;

        if ((c & 0xfe) == 0xc2 && from < end && (*from & 0xc0) == 0x80)
            c = (unsigned char)(c << 6 | (*from++ & 0x3f));
        *at++ = (char)c;
    }
    return (size_t)(at - text);
}

bool text_load(struct machine *machine, word value, size_t most, struct text *text)
{
    struct arena *arena = machine->scan->arena;
    struct payload payload;
    size_t widest, length;
    unsigned char *raw;
    char *decoded;

    if (!payload_find(machine, value, &payload))
        return false;
    /* The longest spellings of one byte are \UXXXXXXXX and, encoded, two bytes of UTF-8. */
    widest = payload.op == OP_UNICODE ? 10 : payload.op == OP_STRING ? 4 : word_tag(value) == TAG_ENCODED ? 2 : 1;
    length = payload.length < (uint64_t)most * widest ? (size_t)payload.length : most * widest;
    raw = arena_take(arena, length + 1);
    decoded = raw ? arena_take(arena, 2 * length + 1) : NULL;
    if (!decoded || bytes_at(machine, payload.start, raw, length) < length)
        return false;
    text->cut = length < payload.length;
    if (payload.op == OP_UNICODE) {
        length = unicode_decode(raw, length, decoded);
    } else if (payload.op == OP_STRING) {
        length = string_decode(raw, length, decoded);
    } else {
        memcpy(decoded, raw, length);
    }
    if (word_tag(value) == TAG_ENCODED)
        length = latin1_encode(decoded, length);
    if (length > most) {
        length = most;
        text->cut = true;
    }
    decoded[length] = '\0';
    text->bytes = decoded;
    text->length = length;
    return true;
}

bool text_equals(struct machine *machine, word value, const char *literal)
{
    struct arena_mark mark = arena_mark(machine->scan->arena);
    size_t length = strlen(literal);
    struct text text;
    bool equal;

    equal = text_load(machine, value, length + 1, &text) && text.length == length && !text.cut &&
            memcmp(text.bytes, literal, length) == 0;
    arena_release(machine->scan->arena, mark);
    return equal;
}
