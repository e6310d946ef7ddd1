/* Compressed bytes as a source: decompresses on demand, with memory that does not grow with the data.
 *
 * One piece serves all methods; a codec says what is particular to one. Inside the analyzer only. */
#ifndef GUARD_UNPACK_H
#define GUARD_UNPACK_H

#include "format.h"

struct unpacker;

/* One decompressor at work. */
struct codec_stream {
    struct unpacker *owner;
    const unsigned char *input;
    size_t input_left;
    unsigned char *output;
    size_t output_room;
    uint64_t taken; /* bytes of memory the library holds */
    _Alignas(16) unsigned char state[160]; /* the library's own struct, or a pointer to it */
};

enum codec_step {
    CODEC_GOES_ON,
    CODEC_ENDS,     /* the stream ended as it should */
    CODEC_DAMAGED,
    CODEC_NO_MEMORY
};

/* How many bytes tell that a stream begins: what an lzma header and the first two bytes behind it have. */
#define CODEC_HEAD 15u

/* A method of compression. */
struct codec {
    /* Does a stream begin with these bytes? Then it is read on where one ends: readers take streams in a row for one.
     * NULL: one stream is all there is. */
    bool (*begins)(const unsigned char *head, size_t length);
    bool padded;         /* zero bytes may lie between streams */
    size_t arena_memory; /* what the library needs, taken from the arena at once where it is little */
    /* Makes ready for the stream that begins with `head`. */
    enum codec_step (*open)(struct codec_stream *stream, const unsigned char *head, size_t length);
    /* Moves some bytes from input to output. No progress without input means that the stream goes on behind it. */
    enum codec_step (*step)(struct codec_stream *stream);
    /* For the next stream in a row; NULL: close and open. */
    enum codec_step (*reset)(struct codec_stream *stream);
    void (*close)(struct codec_stream *stream);
    /* Makes `to` a copy that goes on by itself. NULL: the library has no such thing. */
    bool (*copy)(struct codec_stream *to, struct codec_stream *from);
};

extern const struct codec codec_deflate, codec_zlib, codec_gzip, codec_bzip2, codec_xz, codec_lz4, codec_zstd;

/* unpack_cursor.c: the memory of codecs. Any content; NULL when there is none. */
void *codec_take(struct codec_stream *stream, size_t bytes);
void codec_give(struct codec_stream *stream, void *pointer);

enum unpack_end {
    UNPACK_OPEN,      /* not at the end yet */
    UNPACK_COMPLETE,  /* the stream ended as it should */
    UNPACK_TRUNCATED, /* the packed bytes ended first */
    UNPACK_DAMAGED,   /* no valid stream from here on; what came before was delivered */
    UNPACK_LIMITED    /* LIMIT_UNPACKED or LIMIT_UNPACK_MEMORY of the scan is reached */
};

/* One run over the packed bytes. */
struct unpack_cursor {
    struct codec_stream stream;
    bool ready;        /* the stream is open */
    bool full;         /* the last step filled its output: there may be more without further input */
    uint64_t next;     /* the first packed byte not yet in `input` */
    uint64_t position; /* unpacked bytes so far */
    uint64_t touched;  /* what counts of its memory against LIMIT_UNPACK_MEMORY */
    enum unpack_end end;
    unsigned char *input;
};

#define UNPACK_INPUT (16u << 10)

/* unpack_cursor.c: to the start of the packed bytes; up to `room` bytes more, fewer only where there is progress
 * without output or at the end, whatever the end is; is there no more to come? */
void unpack_cursor_start(struct unpacker *unpacker, struct unpack_cursor *cursor);
void unpack_cursor_close(struct unpacker *unpacker, struct unpack_cursor *cursor);
size_t unpack_cursor_step(struct unpacker *unpacker, struct unpack_cursor *cursor, unsigned char *output, size_t room);
bool unpack_cursor_stuck(const struct unpacker *unpacker, const struct unpack_cursor *cursor);

/* Zeroed memory that outlives arena marks. */
void *unpack_take(struct unpacker *unpacker, size_t bytes);
void unpack_give(struct unpacker *unpacker, void *pointer, size_t bytes);

/* What is unpacked is cut into blocks. The front window holds the newest one to two. */
#define UNPACK_BLOCK (32u << 10)
/* Blocks kept from the start on: picklers write what they refer to again and again early. */
#define UNPACK_EARLY 64u
/* Blocks kept of the rest: the newest, and those fetched again, which are likely to be wanted once more. */
#define UNPACK_LATE 64u
#define UNPACK_AGAIN 32u
#define UNPACK_BLOCKS (UNPACK_EARLY + UNPACK_LATE + UNPACK_AGAIN)
/* Copies of a codec's state (40 KB each), from which to unpack again. When there is no room for another, every second
 * goes and their distance doubles. */
#define UNPACK_MARKS 32u
#define UNPACK_MARK_DISTANCE (1u << 20)

struct unpack_block {
    unsigned char *bytes; /* NULL: none */
    uint64_t number;
    uint64_t used; /* time of last use */
};

/* zlib ties a state to the address of its stream: marks stay in their slots, in no order. */
struct unpack_mark {
    struct codec_stream stream;
    bool set;
    uint64_t next, position;
};

/* Reading forward unpacks each byte once. Going back is what bidding does (a head is read, then the format that bid
 * starts over), zip (to the directory and the members) and the pickle machine, which keeps of a memoised string only
 * where it lies. Blocks that are no longer kept are unpacked again by a second cursor, from the nearest mark or, where
 * a codec cannot be copied, from the start; that counts against LIMIT_UNPACKED, so a hostile pattern ends there,
 * opaque. */
struct unpacker {
    struct scan *scan;
    const struct source *packed;
    uint64_t start, stop; /* the packed bytes are [start, stop) of `packed` */
    const struct codec *codec;
    int error;            /* errno of a failed read of `packed` */
    bool large;           /* there was no memory for a window beyond LIMIT_UNPACK_MEMORY */
    struct unpack_cursor front, back;
    unsigned char *state; /* the codec's memory for `front`, from the arena */
    size_t state_used;
    unsigned char *window; /* of the front: bytes [window_start, front.position) */
    uint64_t window_start;
    struct unpack_block *blocks; /* UNPACK_EARLY, UNPACK_LATE, UNPACK_AGAIN of them; NULL until one is needed */
    struct unpack_mark *marks;   /* UNPACK_MARKS of them; NULL until one is needed */
    uint64_t mark_last; /* position of the newest mark */
    uint64_t mark_distance;
    uint64_t time;
};

/* Sets up `unpacker`, which must stay where it is, over [start, stop) of `packed`, which must outlive it. False: no
 * memory; the scan has failed. Otherwise unpack_close it before the arena is released below the present mark. */
bool unpack_open(struct unpacker *unpacker, struct scan *scan, const struct source *packed, uint64_t start,
                 uint64_t stop, const struct codec *codec);
void unpack_close(struct unpacker *unpacker);

/* The unpacked bytes as a streamed source of `size` bytes (SOURCE_SIZE_UNKNOWN where nothing says how many). Damage,
 * truncation and the limit read as the end of the bytes; front.end tells which it was. */
struct source unpack_source(struct unpacker *unpacker, uint64_t size);

/* Did a format that bid read on until the limit? Then what it has not found yet may still come: the caller treats the
 * bytes as recognised. */
bool unpack_gave_up(const struct unpacker *unpacker);

/* What is wrong with the packed bytes, if that was noticed: opaque past the limit, malformed where damaged or cut
 * short. Called when the unpacked bytes were recognised. */
void unpack_report_end(const struct unpacker *unpacker, const char *format);

/* The whole of a format that is one compressed thing from `start` on: what is inside counts, and only that. */
bool unpack_run(struct scan *scan, const struct source *source, uint64_t start, const struct codec *codec,
                const char *format);

#endif
