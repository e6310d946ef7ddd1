#include "protobuf.h"

#include <string.h>

#define VARINT_MAX 10u /* bytes */

/* Takes a varint from the front of `size` bytes; returns its length, 0 when it is cut off or too long. Bits beyond 64
 * are dropped, as parsers do. */
static size_t varint_load(const unsigned char *bytes, size_t size, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < size && i < VARINT_MAX; i++) {
        *value |= (uint64_t)(bytes[i] & 0x7f) << 7 * i;
        if (!(bytes[i] & 0x80))
            return i + 1;
    }
    return 0;
}

/* Splits a tag. Parsers read 32 bits and refuse field 0. */
static bool tag_split(uint64_t tag, uint32_t *number, enum protobuf_wire *wire)
{
    *number = (uint32_t)tag >> 3;
    *wire = (enum protobuf_wire)(tag & 7);
    return tag <= UINT32_MAX && *number != 0 && *wire <= WIRE_32;
}

bool protobuf_look(const unsigned char *bytes, size_t size, size_t at, struct protobuf_view *view)
{
    uint64_t tag;
    size_t length;
    if (at >= size)
        return false;
    length = varint_load(bytes + at, size - at, &tag);
    if (length == 0 || !tag_split(tag, &view->number, &view->wire))
        return false;
    at += length;
    view->value = 0;
    view->content = at;
    switch (view->wire) {
    case WIRE_VARINT:
        view->length = varint_load(bytes + at, size - at, &view->value);
        return view->length > 0;
    case WIRE_64:
        view->length = 8;
        return true;
    case WIRE_32:
        view->length = 4;
        return true;
    case WIRE_BYTES:
        length = varint_load(bytes + at, size - at, &view->length);
        view->content = at + length;
        return length > 0;
    default:
        return false; /* no writer of models uses groups */
    }
}

bool protobuf_is_text(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] < 0x20 || bytes[i] == 0x7f)
            return false;
    return true;
}

int protobuf_evidence(const struct protobuf_shape *shape, const unsigned char *bytes, size_t size, uint64_t length)
{
    struct protobuf_view field;
    size_t at = 0;
    int evidence = 0;
    while (at < size) {
        if (!protobuf_look(bytes, size, at, &field))
            return size == length ? -1 : evidence; /* the view may end within a field */
        if (field.number > 31 || field.content > length || field.length > length - field.content)
            return -1;
        uint32_t bit = 1u << field.number;
        if ((bit & (shape->messages | shape->texts) && field.wire != WIRE_BYTES) ||
            (bit & shape->numbers && field.wire != WIRE_VARINT))
            return -1;
        size_t seen = field.length < size - field.content ? (size_t)field.length : size - field.content;
        if (bit & shape->texts && !protobuf_is_text(bytes + field.content, seen))
            return -1;
        if (bit & (shape->messages | shape->texts | shape->numbers))
            evidence += 4;
        if (field.length > size - field.content)
            break;
        at = field.content + (size_t)field.length;
    }
    return evidence;
}

bool protobuf_open(struct protobuf *protobuf, struct arena *arena, const struct source *source, uint64_t start,
                   uint64_t end, const struct protobuf_message *message)
{
    protobuf->depth = 0;
    protobuf->fields = 0;
    protobuf->error = PROTOBUF_ERROR_NONE;
    if (!reader_open(&protobuf->reader, arena, source, start, end))
        return false;
    /* Between what is of interest lie tensors that are skipped; a whole window behind each would be read
     * for nothing. */
    if (protobuf->reader.window_size > 2 * LIMIT_HISTORY)
        protobuf->reader.window_size = 2 * LIMIT_HISTORY;
    protobuf->levels[0] = (struct protobuf_level){.message = message, .start = start, .end = protobuf->reader.end};
    return true;
}

static enum protobuf_event fail(struct protobuf *protobuf, enum protobuf_error error)
{
    if (protobuf->error == PROTOBUF_ERROR_NONE)
        protobuf->error = protobuf->reader.error ? PROTOBUF_ERROR_IO : error;
    return PROTOBUF_FAILED;
}

static bool varint_read(struct protobuf *protobuf, uint64_t end, uint64_t *value)
{
    size_t got, length;
    const unsigned char *bytes = reader_rest(&protobuf->reader, VARINT_MAX, &got);
    if (!bytes)
        return false;
    if (got > end - protobuf->reader.position)
        got = (size_t)(end - protobuf->reader.position);
    length = varint_load(bytes, got, value);
    return length > 0 && reader_skip(&protobuf->reader, length);
}

static bool level_push(struct protobuf *protobuf, struct protobuf_level level)
{
    if (protobuf->depth == LIMIT_PROTOBUF_DEPTH)
        return false;
    protobuf->levels[++protobuf->depth] = level;
    return true;
}

static const struct protobuf_field *field_find(const struct protobuf_message *message, uint32_t number,
                                               enum protobuf_wire wire)
{
    if (message)
        for (size_t i = 0; i < message->count; i++)
            if (message->fields[i].number == number)
                return message->fields[i].wire == wire ? &message->fields[i] : NULL;
    return NULL;
}

static enum protobuf_event text_read(struct protobuf *protobuf)
{
    protobuf->text_length = protobuf->length < LIMIT_NAME ? (size_t)protobuf->length : LIMIT_NAME;
    protobuf->cut = protobuf->length > protobuf->text_length;
    if (!reader_bytes(&protobuf->reader, protobuf->text, protobuf->text_length) ||
        !reader_skip(&protobuf->reader, protobuf->length - protobuf->text_length))
        return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
    protobuf->text[protobuf->text_length] = '\0';
    return PROTOBUF_TEXT;
}

/* The outermost message's end may turn out to lie before where its source said, or be unknown before it is reached. */
static uint64_t level_end(struct protobuf *protobuf, const struct protobuf_level *level)
{
    size_t got;
    if (protobuf->depth > 0)
        return level->end;
    if (!protobuf->reader.error && !reader_rest(&protobuf->reader, 1, &got) && !protobuf->reader.error)
        return protobuf->reader.position;
    return protobuf->reader.end;
}

/* A field with bytes: a message, a text, or nothing of interest, which reads as PROTOBUF_FINISHED. */
static enum protobuf_event bytes_read(struct protobuf *protobuf, uint64_t end)
{
    const struct protobuf_field *field = protobuf->field;
    if (!varint_read(protobuf, end, &protobuf->length) || protobuf->length > end - protobuf->reader.position)
        return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
    protobuf->offset = protobuf->reader.position;
    if (field && field->inside) {
        struct protobuf_level inside = {field->inside, field, protobuf->offset + protobuf->length, protobuf->offset, 0};
        return level_push(protobuf, inside) ? PROTOBUF_OPEN : fail(protobuf, PROTOBUF_ERROR_DAMAGED);
    }
    if (field)
        return text_read(protobuf);
    return reader_skip(&protobuf->reader, protobuf->length) ? PROTOBUF_FINISHED
                                                            : fail(protobuf, PROTOBUF_ERROR_DAMAGED);
}

/* Reads one field. PROTOBUF_FINISHED: it was of no interest. */
static enum protobuf_event field_read(struct protobuf *protobuf, const struct protobuf_level *level)
{
    uint64_t tag, end = level_end(protobuf, level);
    uint32_t number;
    enum protobuf_wire wire;
    if (!varint_read(protobuf, end, &tag) || !tag_split(tag, &number, &wire))
        return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
    protobuf->field = field_find(level->message, number, wire);
    switch (wire) {
    case WIRE_VARINT:
        protobuf->offset = protobuf->reader.position;
        if (!varint_read(protobuf, end, &protobuf->value))
            return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
        return protobuf->field ? PROTOBUF_NUMBER : PROTOBUF_FINISHED;
    case WIRE_BYTES:
        return bytes_read(protobuf, end);
    case WIRE_GROUP:
        if (!level_push(protobuf,
                        (struct protobuf_level){.end = end, .start = protobuf->reader.position, .group = number}))
            return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
        return PROTOBUF_FINISHED;
    case WIRE_GROUP_END:
        if (level->group != number)
            return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
        protobuf->depth--;
        return PROTOBUF_FINISHED;
    default: {
        unsigned size = wire == WIRE_64 ? 8 : 4;
        if (size > end - protobuf->reader.position || !reader_skip(&protobuf->reader, size))
            return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
        return PROTOBUF_FINISHED;
    }
    }
}

enum protobuf_event protobuf_next(struct protobuf *protobuf)
{
    while (protobuf->error == PROTOBUF_ERROR_NONE) {
        struct protobuf_level *level = &protobuf->levels[protobuf->depth];
        if (protobuf->reader.position >= level_end(protobuf, level)) {
            if (level->group)
                return fail(protobuf, PROTOBUF_ERROR_DAMAGED);
            if (protobuf->depth == 0)
                return PROTOBUF_FINISHED;
            protobuf->depth--;
            protobuf->field = level->field;
            protobuf->offset = level->start;
            protobuf->length = level->end - level->start;
            return PROTOBUF_CLOSE;
        }
        if (++protobuf->fields > LIMIT_PROTOBUF_FIELDS)
            return fail(protobuf, PROTOBUF_ERROR_LIMIT);
        enum protobuf_event event = field_read(protobuf, level);
        if (event != PROTOBUF_FINISHED)
            return event;
    }
    return PROTOBUF_FAILED;
}
