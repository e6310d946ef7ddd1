/* Bytes to analyse: a callback and a size, never a path. */
#ifndef GUARD_SOURCE_H
#define GUARD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads up to `length` bytes at `offset`; short only at the end or on a fault in between.
 * Returns the count, 0 at or past the end, or a negative errno. Must not move any file position. */
struct source {
    ssize_t (*pread)(void *context, void *buffer, size_t length, uint64_t offset);
    void *context;
    uint64_t size; /* bytes; of a streamed source possibly SOURCE_SIZE_UNKNOWN */
    bool streamed; /* a decompressor's output: reading forward is cheap, going back or to the end is not, so bidders get
                      no tail. Slices inherit it. */
};
#define SOURCE_SIZE_UNKNOWN UINT64_MAX

/* A source over `length` bytes at `data`, which must outlive it. */
struct source_memory {
    const unsigned char *data;
    size_t length;
};
struct source source_from_memory(struct source_memory *memory);

/* A source over bytes [start, start+length) of `whole`; both structs must outlive it. The range is clipped
 * to `whole`. */
struct source_slice {
    const struct source *whole;
    uint64_t start;
};
struct source source_from_slice(struct source_slice *slice, uint64_t length);

/* Reads until `length` bytes are there, the end, or an error. Returns like pread. */
ssize_t source_read(const struct source *source, void *buffer, size_t length, uint64_t offset);

#endif
