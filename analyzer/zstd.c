/* Zstandard frames (RFC 8878), one behind another. */
#include "reader.h"
#include "unpack.h"

/* The part of the interface that takes an allocator; both the archive and the shared library have it. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

/* Skippable frames are LZ4's too; what follows them tells which it is. */
static bool begins(const unsigned char *head, size_t length)
{
    return length >= 7 && (load_le32(head) == ZSTD_MAGICNUMBER ||
                           (load_le32(head) & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START);
}

static ZSTD_DCtx **context_of(struct codec_stream *stream) { return (ZSTD_DCtx **)(void *)stream->state; }

static void *take(void *stream, size_t bytes) { return codec_take(stream, bytes); }

static void give(void *stream, void *memory) { codec_give(stream, memory); }

/* Windows of any size: what counts is how much of one is used (LIMIT_UNPACK_MEMORY). */
static enum codec_step stream_open(struct codec_stream *stream, const unsigned char *head, size_t length)
{
    (void)head, (void)length;
    ZSTD_DCtx *context = ZSTD_createDCtx_advanced((ZSTD_customMem){take, give, stream});
    *context_of(stream) = context;
    if (!context)
        return CODEC_NO_MEMORY;
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOWLOG_MAX);
    return CODEC_GOES_ON;
}

static enum codec_step stream_step(struct codec_stream *stream)
{
    ZSTD_inBuffer input = {stream->input, stream->input_left, 0};
    ZSTD_outBuffer output = {stream->output, stream->output_room, 0};
    size_t status = ZSTD_decompressStream(*context_of(stream), &output, &input);
    if (ZSTD_isError(status))
        return ZSTD_getErrorCode(status) == ZSTD_error_memory_allocation ? CODEC_NO_MEMORY : CODEC_DAMAGED;
    stream->input += input.pos;
    stream->input_left -= input.pos;
    stream->output += output.pos;
    stream->output_room -= output.pos;
    return status == 0 ? CODEC_ENDS : CODEC_GOES_ON;
}

/* A context is ready for the next frame when it is done with one. */
static enum codec_step stream_reset(struct codec_stream *stream)
{
    (void)stream;
    return CODEC_GOES_ON;
}

static void stream_close(struct codec_stream *stream) { ZSTD_freeDCtx(*context_of(stream)); }

const struct codec codec_zstd = {.begins = begins, .open = stream_open, .step = stream_step, .reset = stream_reset,
                                 .close = stream_close};

static unsigned bid(const struct bid_view *view) { return begins(view->head, view->head_length) ? 32 : 0; }

static bool run(struct scan *scan, const struct source *source)
{
    return unpack_run(scan, source, 0, &codec_zstd, "zstd");
}

const struct format format_zstd = {"zstd", bid, run};
