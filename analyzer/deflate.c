/* Deflate (RFC 1951), bare as members of zips are, and in the wrappings of zlib (RFC 1950) and gzip (RFC 1952). */
#include "unpack.h"

#include <string.h>
#include <zlib.h>

_Static_assert(sizeof(z_stream) <= sizeof((struct codec_stream *)0)->state, "zlib's struct fits");

/* zlib's state (7 KB) and its window (32 KB and a little). */
#define STATE_SIZE (48u << 10)

static z_stream *stream_of(struct codec_stream *stream) { return (z_stream *)(void *)stream->state; }

static voidpf take(voidpf stream, uInt items, uInt size) { return codec_take(stream, (size_t)items * size); }

static void give(voidpf stream, voidpf memory) { codec_give(stream, memory); }

static enum codec_step meant(int status)
{
    return status == Z_OK ? CODEC_GOES_ON : status == Z_MEM_ERROR ? CODEC_NO_MEMORY : CODEC_DAMAGED;
}

/* zlib.h: window bits are negative for raw deflate, plus 16 for gzip only. */
static enum codec_step open_bits(struct codec_stream *stream, int window_bits)
{
    z_stream *zlib = stream_of(stream);
    *zlib = (z_stream){.zalloc = take, .zfree = give, .opaque = stream};
    return meant(inflateInit2(zlib, window_bits));
}

static enum codec_step open_raw(struct codec_stream *stream, const unsigned char *head, size_t length)
{
    (void)head, (void)length;
    return open_bits(stream, -MAX_WBITS);
}

static enum codec_step open_zlib(struct codec_stream *stream, const unsigned char *head, size_t length)
{
    (void)head, (void)length;
    return open_bits(stream, MAX_WBITS);
}

static enum codec_step open_gzip(struct codec_stream *stream, const unsigned char *head, size_t length)
{
    (void)head, (void)length;
    return open_bits(stream, MAX_WBITS + 16);
}

static enum codec_step stream_step(struct codec_stream *stream)
{
    z_stream *zlib = stream_of(stream);
    zlib->next_in = (z_const Bytef *)(uintptr_t)stream->input;
    zlib->avail_in = (uInt)stream->input_left;
    zlib->next_out = stream->output;
    zlib->avail_out = (uInt)stream->output_room;
    int status = inflate(zlib, Z_NO_FLUSH);
    stream->input = zlib->next_in;
    stream->input_left = zlib->avail_in;
    stream->output_room = zlib->avail_out;
    return status == Z_STREAM_END ? CODEC_ENDS : meant(status == Z_BUF_ERROR ? Z_OK : status);
}

static enum codec_step stream_reset(struct codec_stream *stream) { return meant(inflateReset(stream_of(stream))); }

static void stream_close(struct codec_stream *stream) { inflateEnd(stream_of(stream)); }

static bool stream_copy(struct codec_stream *to, struct codec_stream *from)
{
    if (inflateCopy(stream_of(to), stream_of(from)) != Z_OK)
        return false;
    stream_of(to)->opaque = to;
    return true;
}

/* Python's gzip module skips zero bytes between members and then wants the magic. */
static bool gzip_begins(const unsigned char *head, size_t length)
{
    return length >= 2 && head[0] == 0x1f && head[1] == 0x8b;
}

const struct codec codec_deflate = {.arena_memory = STATE_SIZE, .open = open_raw, .step = stream_step,
                                    .close = stream_close, .copy = stream_copy};
const struct codec codec_zlib = {.arena_memory = STATE_SIZE, .open = open_zlib, .step = stream_step,
                                 .close = stream_close, .copy = stream_copy};
const struct codec codec_gzip = {.begins = gzip_begins, .padded = true, .arena_memory = STATE_SIZE, .open = open_gzip,
                                 .step = stream_step, .reset = stream_reset, .close = stream_close,
                                 .copy = stream_copy};
