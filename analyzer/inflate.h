/* Deflated bytes as a source: inflates on demand, with memory that does not grow with the data.
 *
 * RFC 1950 (zlib), 1951 (deflate), 1952 (gzip). Inside the analyzer only. */
#ifndef GUARD_INFLATE_H
#define GUARD_INFLATE_H

#include "format.h"

#include <zlib.h>

enum inflate_wrap {
    INFLATE_RAW,  /* as zip members are */
    INFLATE_ZLIB, /* one stream with its header and Adler-32 */
    INFLATE_GZIP  /* members in a row, with zero bytes between them allowed: what Python's gzip module reads as one */
};

enum inflate_end {
    INFLATE_OPEN,      /* not at the end yet */
    INFLATE_COMPLETE,  /* the stream ended as it should */
    INFLATE_TRUNCATED, /* the packed bytes ended first */
    INFLATE_DAMAGED,   /* no valid stream from here on; what came before was delivered */
    INFLATE_LIMITED    /* LIMIT_INFLATED of the scan, or INFLATE_RESTARTS, is reached */
};

/* Reading forward inflates each byte once. The last INFLATE_HISTORY bytes stay at hand, which is what bidding needs (a
 * head is read, then the format that bid starts over). Going back further starts the stream again from its first byte:
 * checkpoints would cost 40 KB each and only help runs that go back often. What is inflated again counts against
 * LIMIT_INFLATED again, and INFLATE_RESTARTS bounds how often it happens: a zip inside goes back three times, to its
 * directory and to its members, and each of the formats that bid for the same bytes once. */
struct inflater {
    struct scan *scan;
    const struct source *packed;
    uint64_t start, stop; /* the packed bytes are [start, stop) of `packed` */
    uint64_t next;        /* the first of them not yet in `input` */
    enum inflate_wrap wrap;
    enum inflate_end end;
    unsigned restarts;
    int error;            /* errno of a failed read of `packed` */
    z_stream stream;
    unsigned char *state; /* zlib's own memory */
    size_t state_used;
    unsigned char *input;
    unsigned char *output;
    size_t output_length;
    uint64_t output_start; /* offset of output[0] among the inflated bytes */
};
#define INFLATE_HISTORY (32u << 10)
#define INFLATE_RESTARTS 32u

/* Sets up `inflater`, which must stay where it is, over [start, stop) of `packed`, with memory from the scan's arena: release it by arena_release, there
 * is nothing else to close. `packed` must outlive it. False: no memory; the scan is then stopped. */
bool inflate_open(struct inflater *inflater, struct scan *scan, const struct source *packed, uint64_t start, uint64_t stop,
                  enum inflate_wrap wrap);

/* The inflated bytes as a streamed source of `size` bytes (SOURCE_SIZE_UNKNOWN where nothing says how many). Damage,
 * truncation and the limit read as the end of the bytes; `inflater->end` tells which it was. */
struct source inflate_source(struct inflater *inflater, uint64_t size);

/* Did a format that bid read on until the limit? Then what it has not found yet may still come: the caller treats the
 * bytes as recognised. */
bool inflate_gave_up(const struct inflater *inflater);

/* What is wrong with the packed bytes, if that was noticed: opaque past the limit, malformed where damaged or cut short.
 * Called when the inflated bytes were recognised. */
void inflate_report_end(const struct inflater *inflater, const char *format);

#endif
