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
    INFLATE_LIMITED    /* LIMIT_INFLATED of the scan is reached */
};

/* One run of zlib over the packed bytes. */
struct inflate_cursor {
    z_stream stream;
    bool ready;        /* the stream is initialised */
    uint64_t next;     /* the first packed byte not yet in `input` */
    uint64_t position; /* inflated bytes so far */
    enum inflate_end end;
    unsigned char *input;
};

/* What is inflated is cut into blocks. The front window holds the newest one to two. */
#define INFLATE_BLOCK (32u << 10)
/* Blocks kept from the start on: picklers write what they refer to again and again early. */
#define INFLATE_EARLY 64u
/* Blocks kept of the rest, those used last. */
#define INFLATE_LATE 64u
/* Copies of zlib's state (40 KB each), from which to inflate again. When there is no room for another, every second goes
 * and their distance doubles. */
#define INFLATE_MARKS 32u
#define INFLATE_MARK_DISTANCE (1u << 20)

struct inflate_block {
    unsigned char *bytes; /* NULL: none */
    uint64_t number;
    uint64_t used; /* time of last use */
};

/* zlib ties a state to the address of its stream: marks stay in their slots, in no order. */
struct inflate_mark {
    z_stream stream;
    bool set;
    uint64_t next, position;
};

/* Reading forward inflates each byte once. Going back is what bidding does (a head is read, then the format that bid starts
 * over), zip (to the directory and the members) and the pickle machine, which keeps of a memoised string only where it
 * lies. Blocks that are no longer kept are inflated again by a second cursor, from the nearest mark; that counts against
 * LIMIT_INFLATED, so a hostile pattern ends there, opaque. */
struct inflater {
    struct scan *scan;
    const struct source *packed;
    uint64_t start, stop; /* the packed bytes are [start, stop) of `packed` */
    enum inflate_wrap wrap;
    int error;            /* errno of a failed read of `packed` */
    struct inflate_cursor front, back;
    unsigned char *state; /* zlib's memory for `front`, from the arena */
    size_t state_used;
    unsigned char *window; /* of the front: bytes [window_start, front.position) */
    uint64_t window_start;
    struct inflate_block *blocks; /* INFLATE_EARLY, then INFLATE_LATE of them; NULL until one is needed */
    struct inflate_mark *marks;   /* INFLATE_MARKS of them; NULL until one is needed */
    uint64_t mark_last; /* position of the newest mark */
    uint64_t mark_distance;
    uint64_t time;
};

/* Sets up `inflater`, which must stay where it is, over [start, stop) of `packed`, which must outlive it. False: no memory;
 * the scan has failed. Otherwise inflate_close it before the arena is released below the present mark. */
bool inflate_open(struct inflater *inflater, struct scan *scan, const struct source *packed, uint64_t start, uint64_t stop,
                  enum inflate_wrap wrap);
void inflate_close(struct inflater *inflater);

/* The inflated bytes as a streamed source of `size` bytes (SOURCE_SIZE_UNKNOWN where nothing says how many). Damage,
 * truncation and the limit read as the end of the bytes; front.end tells which it was. */
struct source inflate_source(struct inflater *inflater, uint64_t size);

/* Did a format that bid read on until the limit? Then what it has not found yet may still come: the caller treats the
 * bytes as recognised. */
bool inflate_gave_up(const struct inflater *inflater);

/* What is wrong with the packed bytes, if that was noticed: opaque past the limit, malformed where damaged or cut short.
 * Called when the inflated bytes were recognised. */
void inflate_report_end(const struct inflater *inflater, const char *format);

#endif
