/* Bzip2: streams in a row, each "BZh", the size of its blocks in 100 KB, then blocks that begin with the digits of pi,
 * or the end with those of its square root. Python's bz2 module and joblib read all streams as one. */
#include "unpack.h"

#include <bzlib.h>
#include <string.h>

_Static_assert(sizeof(bz_stream) <= sizeof((struct codec_stream *)0)->state, "bzlib's struct fits");

static bool begins(const unsigned char *head, size_t length)
{
    return length >= 10 && memcmp(head, "BZh", 3) == 0 && head[3] >= '1' && head[3] <= '9' &&
           (memcmp(head + 4, "1AY&SY", 6) == 0 || memcmp(head + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

/* Called where bzlib finds its own state impossible; what it decodes then is wrong and ends in its checksums. */
void bz_internal_error(int code);
void bz_internal_error(int code) { (void)code; }

static bz_stream *stream_of(struct codec_stream *stream) { return (bz_stream *)(void *)stream->state; }

static void *take(void *stream, int items, int size)
{
    return items < 0 || size < 0 ? NULL : codec_take(stream, (size_t)items * (size_t)size);
}

static void give(void *stream, void *memory) { codec_give(stream, memory); }

static enum codec_step meant(int status)
{
    return status == BZ_OK ? CODEC_GOES_ON : status == BZ_MEM_ERROR ? CODEC_NO_MEMORY : CODEC_DAMAGED;
}

static enum codec_step stream_open(struct codec_stream *stream, const unsigned char *head, size_t length)
{
    (void)head, (void)length;
    bz_stream *bzip2 = stream_of(stream);
    *bzip2 = (bz_stream){.bzalloc = take, .bzfree = give, .opaque = stream};
    return meant(BZ2_bzDecompressInit(bzip2, 0, 0));
}

static enum codec_step stream_step(struct codec_stream *stream)
{
    bz_stream *bzip2 = stream_of(stream);
    bzip2->next_in = (char *)(uintptr_t)stream->input;
    bzip2->avail_in = (unsigned)stream->input_left;
    bzip2->next_out = (char *)stream->output;
    bzip2->avail_out = (unsigned)stream->output_room;
    int status = BZ2_bzDecompress(bzip2);
    stream->input += stream->input_left - bzip2->avail_in;
    stream->input_left = bzip2->avail_in;
    stream->output_room = bzip2->avail_out;
    return status == BZ_STREAM_END ? CODEC_ENDS : meant(status);
}

static void stream_close(struct codec_stream *stream) { BZ2_bzDecompressEnd(stream_of(stream)); }

const struct codec codec_bzip2 = {.begins = begins, .open = stream_open, .step = stream_step, .close = stream_close};

static unsigned bid(const struct bid_view *view) { return begins(view->head, view->head_length) ? 80 : 0; }

static bool run(struct scan *scan, const struct source *source)
{
    return unpack_run(scan, source, 0, &codec_bzip2, "bzip2");
}

const struct format format_bzip2 = {"bzip2", bid, run};
