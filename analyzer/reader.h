/* The only pointer arithmetic of the analyzer: a forward window over a source. */
#ifndef GUARD_READER_H
#define GUARD_READER_H

#include "format.h"

struct reader {
    const struct source *source;
    uint64_t position;   /* of the next byte, from the source's start */
    uint64_t end;        /* first byte that may not be read */
    unsigned char *window;
    size_t window_size;
    uint64_t window_start; /* source offset of window[0] */
    size_t window_length;  /* bytes in the window */
    int error;           /* errno of a failed read, 0 otherwise; sticky */
};

/* Reads [start, end) of `source` through a window of LIMIT_WINDOW bytes from the arena. False: no memory. */
bool reader_open(struct reader *reader, struct arena *arena, const struct source *source, uint64_t start, uint64_t end);

/* At least `want` (<= LIMIT_PEEK) bytes at the position, or NULL at the end or on error. Does not move. `got` (may be
 * NULL) receives how many there are. */
const unsigned char *reader_peek(struct reader *reader, size_t want, size_t *got);

/* As many bytes as there are up to `want` (<= LIMIT_PEEK): fewer only at the end. NULL when there is none, or
 * on error. */
const unsigned char *reader_rest(struct reader *reader, size_t want, size_t *got);

/* Bytes of the source that were read lately and are still buffered: [offset, offset + length), or NULL. */
const unsigned char *reader_recent(const struct reader *reader, uint64_t offset, size_t length);

/* Moves by `length`, which may pass what is buffered (those bytes are never read). False: past the end;
 * then unmoved. */
bool reader_skip(struct reader *reader, uint64_t length);

/* Take and move. False at the end or on error, then unmoved. */
bool reader_u8(struct reader *reader, uint8_t *value);
bool reader_le16(struct reader *reader, uint16_t *value);
bool reader_le32(struct reader *reader, uint32_t *value);
bool reader_le64(struct reader *reader, uint64_t *value);
bool reader_bytes(struct reader *reader, void *buffer, size_t length);

/* The bytes up to and without '\n', which is taken too. Points into the window; valid until the next call. False, and
 * unmoved, when there is no newline before the end or within `limit` (<= LIMIT_PEEK) bytes. */
bool reader_line(struct reader *reader, size_t limit, const unsigned char **line, size_t *length);

/* Moves behind the next '\n', however far. `length` receives the bytes before it. False, and unmoved, when there is
 * none. */
bool reader_skip_line(struct reader *reader, uint64_t *length);

static inline uint16_t load_le16(const unsigned char bytes[2]) { return (uint16_t)(bytes[0] | bytes[1] << 8); }
static inline uint32_t load_le32(const unsigned char bytes[4])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}
static inline uint64_t load_le64(const unsigned char bytes[8])
{
    return load_le32(bytes) | (uint64_t)load_le32(bytes + 4) << 32;
}

#endif
