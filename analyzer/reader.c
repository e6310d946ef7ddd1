#include "reader.h"

#include <errno.h>
#include <string.h>

bool reader_open(struct reader *reader, struct arena *arena, const struct source *source, uint64_t start, uint64_t end)
{
    if (end > source->size)
        end = source->size;
    if (start > end)
        start = end;
    *reader = (struct reader){.source = source, .position = start, .end = end, .window_start = start};
    /* A short source needs no full window; nested pickles are mostly short. */
    reader->window_size = end - start < LIMIT_WINDOW ? (size_t)(end - start) : LIMIT_WINDOW;
    reader->window = arena_take(arena, reader->window_size ? reader->window_size : 1);
    return reader->window != NULL;
}

/* Fills the window so that it holds `want` bytes at the position, as far as the source has them. */
static void window_fill(struct reader *reader, size_t want)
{
    uint64_t behind = reader->position - reader->window_start;
    size_t keep = 0, room;
    ssize_t got;

    if (behind <= reader->window_length) {
        /* Keep what lies ahead, and some of what lies behind. */
        size_t drop = behind > LIMIT_HISTORY ? (size_t)behind - LIMIT_HISTORY : 0;

        keep = reader->window_length - drop;
        if (drop)
            memmove(reader->window, reader->window + drop, keep);
        reader->window_start += drop;
    } else {
        reader->window_start = reader->position;
    }
    reader->window_length = keep;
    room = reader->window_size - keep;
    if (room > reader->end - (reader->window_start + keep))
        room = (size_t)(reader->end - (reader->window_start + keep));
    while (room) {
        got = reader->source->pread(reader->source->context, reader->window + reader->window_length, room,
                                    reader->window_start + reader->window_length);
        if (got < 0) {
            reader->error = got < -4095 ? EIO : (int)-got;
            return;
        }
        if (got == 0 || (size_t)got > room) {
            /* The source ends before its size: it shrank, or lies. */
            reader->end = reader->window_start + reader->window_length;
            if (reader->end < reader->position)
                reader->end = reader->position;
            return;
        }
        reader->window_length += (size_t)got;
        room -= (size_t)got;
        if (reader->window_start + reader->window_length - reader->position >= want)
            return;
    }
}

const unsigned char *reader_rest(struct reader *reader, size_t want, size_t *got)
{
    uint64_t at = reader->position - reader->window_start;
    size_t there;

    *got = 0;
    if (at > reader->window_length || reader->window_length - (size_t)at < want) {
        if (!reader->error)
            window_fill(reader, want);
        at = reader->position - reader->window_start;
        if (at > reader->window_length || reader->error)
            return NULL;
    }
    there = reader->window_length - (size_t)at;
    *got = there;
    return there ? reader->window + at : NULL;
}

const unsigned char *reader_peek(struct reader *reader, size_t want, size_t *got)
{
    size_t there;
    const unsigned char *bytes = reader_rest(reader, want, &there);

    if (got)
        *got = there;
    return there >= want ? bytes : NULL;
}

const unsigned char *reader_recent(const struct reader *reader, uint64_t offset, size_t length)
{
    uint64_t at = offset - reader->window_start;

    if (offset < reader->window_start || at > reader->window_length || length > reader->window_length - (size_t)at)
        return NULL;
    return reader->window + at;
}

bool reader_skip(struct reader *reader, uint64_t length)
{
    if (length > reader->end - reader->position)
        return false;
    reader->position += length;
    return true;
}

bool reader_bytes(struct reader *reader, void *buffer, size_t length)
{
    unsigned char *to = buffer;
    uint64_t start = reader->position;

    if (length > reader->end - reader->position)
        return false;
    while (length) {
        size_t got;
        const unsigned char *bytes = reader_rest(reader, length < LIMIT_PEEK ? length : LIMIT_PEEK, &got);

        if (!bytes) {
            reader->position = start;
            return false;
        }
        if (got > length)
            got = length;
        memcpy(to, bytes, got);
        to += got;
        length -= got;
        reader->position += got;
    }
    return true;
}

bool reader_u8(struct reader *reader, uint8_t *value)
{
    const unsigned char *bytes = reader_peek(reader, 1, NULL);

    if (!bytes)
        return false;
    *value = bytes[0];
    reader->position += 1;
    return true;
}

bool reader_le16(struct reader *reader, uint16_t *value)
{
    const unsigned char *bytes = reader_peek(reader, 2, NULL);

    if (!bytes)
        return false;
    *value = load_le16(bytes);
    reader->position += 2;
    return true;
}

bool reader_le32(struct reader *reader, uint32_t *value)
{
    const unsigned char *bytes = reader_peek(reader, 4, NULL);

    if (!bytes)
        return false;
    *value = load_le32(bytes);
    reader->position += 4;
    return true;
}

bool reader_le64(struct reader *reader, uint64_t *value)
{
    const unsigned char *bytes = reader_peek(reader, 8, NULL);

    if (!bytes)
        return false;
    *value = load_le64(bytes);
    reader->position += 8;
    return true;
}

bool reader_line(struct reader *reader, size_t limit, const unsigned char **line, size_t *length)
{
    size_t want = 128;

    /* Most lines are short; ask for more only when the newline is not there yet. */
    for (;;) {
        size_t got;
        const unsigned char *bytes, *newline;

        if (want > limit)
            want = limit;
        bytes = reader_rest(reader, want, &got);
        if (!bytes)
            return false;
        newline = memchr(bytes, '\n', got < limit ? got : limit);
        if (newline) {
            *line = bytes;
            *length = (size_t)(newline - bytes);
            reader->position += *length + 1;
            return true;
        }
        if (got >= limit || got < want)
            return false;
        want = got < limit / 4 ? got * 4 : limit;
    }
}

bool reader_skip_line(struct reader *reader, uint64_t *length)
{
    uint64_t start = reader->position;

    for (;;) {
        size_t got;
        const unsigned char *bytes = reader_rest(reader, LIMIT_HISTORY, &got), *newline;

        if (!bytes) {
            reader->position = start;
            return false;
        }
        newline = memchr(bytes, '\n', got);
        if (newline) {
            reader->position += (size_t)(newline - bytes) + 1;
            *length = reader->position - start - 1;
            return true;
        }
        reader->position += got;
    }
}
