/* LZ4 frames, one behind another, as joblib and lz4.frame write them. */
#include "reader.h"
#include "unpack.h"

/* The part of the interface that takes an allocator; both the archive and the shared library have it. */
#define LZ4F_STATIC_LINKING_ONLY
#include <lz4frame.h>
#include <string.h>

/* A frame, or one of the sixteen kinds that every reader skips. */
static bool begins(const unsigned char *head, size_t length)
{
    return length >= 7 && (load_le32(head) == 0x184d2204 || (load_le32(head) & 0xfffffff0) == 0x184d2a50);
}

static LZ4F_dctx **context_of(struct codec_stream *stream) { return (LZ4F_dctx **)(void *)stream->state; }

static void *take(void *stream, size_t bytes) { return codec_take(stream, bytes); }

static void *take_zeroed(void *stream, size_t bytes)
{
    void *memory = codec_take(stream, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

static void give(void *stream, void *memory) { codec_give(stream, memory); }

static enum codec_step stream_open(struct codec_stream *stream, const unsigned char *head, size_t length)
{
    (void)head, (void)length;
    LZ4F_CustomMem memory = {take, take_zeroed, give, stream};
    *context_of(stream) = LZ4F_createDecompressionContext_advanced(memory, LZ4F_VERSION);
    return *context_of(stream) ? CODEC_GOES_ON : CODEC_NO_MEMORY;
}

static enum codec_step stream_step(struct codec_stream *stream)
{
    size_t packed = stream->input_left, made = stream->output_room;
    size_t status = LZ4F_decompress(*context_of(stream), stream->output, &made, stream->input, &packed, NULL);
    if (LZ4F_isError(status))
        return LZ4F_getErrorCode(status) == LZ4F_ERROR_allocation_failed ? CODEC_NO_MEMORY : CODEC_DAMAGED;
    stream->input += packed;
    stream->input_left -= packed;
    stream->output += made;
    stream->output_room -= made;
    return status == 0 ? CODEC_ENDS : CODEC_GOES_ON;
}

/* A context is ready for the next frame when it is done with one. */
static enum codec_step stream_reset(struct codec_stream *stream)
{
    (void)stream;
    return CODEC_GOES_ON;
}

static void stream_close(struct codec_stream *stream) { LZ4F_freeDecompressionContext(*context_of(stream)); }

const struct codec codec_lz4 = {.begins = begins, .open = stream_open, .step = stream_step, .reset = stream_reset,
                                .close = stream_close};

static unsigned bid(const struct bid_view *view) { return begins(view->head, view->head_length) ? 32 : 0; }

static bool run(struct scan *scan, const struct source *source)
{
    return unpack_run(scan, source, 0, &codec_lz4, "lz4");
}

const struct format format_lz4 = {"lz4", bid, run};
