/* Xz, lzma ("LZMA_Alone") and lzip: LZMA in three wrappings, all of which Python's lzma module reads when not told
 * which.
 *
 * Facts: xz-utils' doc/xz-file-format.txt and doc/lzma-file-format.txt; CPython's lzma.py (streams in a row are one,
 * whatever their wrappings); joblib/compressor.py (an lzma file begins with 5d 00). */
#include "reader.h"
#include "unpack.h"

#include <lzma.h>
#include <string.h>

_Static_assert(sizeof(lzma_stream) + sizeof(lzma_allocator) <= sizeof((struct codec_stream *)0)->state,
               "both structs fit");

static bool xz_begins(const unsigned char *head, size_t length)
{
    return length >= 6 && memcmp(head, "\xfd"
                                       "7zXZ\0", 6) == 0;
}

static bool lzip_begins(const unsigned char *head, size_t length)
{
    return length >= 6 && memcmp(head, "LZIP", 4) == 0 && head[4] <= 1;
}

/* No magic: properties, the size of the dictionary, that of the content (all ones: until a marker), and the range
 * coder's start, which is a zero byte and, as the first symbol is a literal, a bit that is not set. Writers round
 * dictionaries to 2^n or 2^n + 2^(n-1), and liblzma wants that when it has to guess; joblib goes by the first two
 * bytes. */
static bool lzma_begins(const unsigned char *head, size_t length)
{
    if (length < 15 || head[0] >= 225 || head[13] != 0 || head[14] >= 0x80)
        return false;
    uint64_t size = load_le64(head + 5);
    uint32_t dictionary = load_le32(head + 1);
    uint32_t low = dictionary & -dictionary;
    bool rounded =
        dictionary == UINT32_MAX || (dictionary >= 4096 && (dictionary == low || dictionary == 3 * (uint64_t)low));
    return (size == UINT64_MAX || size < (uint64_t)1 << 38) && (rounded || (head[0] == 0x5d && head[1] == 0));
}

static bool begins(const unsigned char *head, size_t length)
{
    return xz_begins(head, length) || lzip_begins(head, length) || lzma_begins(head, length);
}

struct state {
    lzma_stream lzma;
    lzma_allocator allocator;
};

static struct state *state_of(struct codec_stream *stream) { return (struct state *)(void *)stream->state; }

static void *take(void *stream, size_t items, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(items, size, &bytes) ? NULL : codec_take(stream, bytes);
}

static void give(void *stream, void *memory) { codec_give(stream, memory); }

static enum codec_step meant(lzma_ret status)
{
    return status == LZMA_OK ? CODEC_GOES_ON : status == LZMA_MEM_ERROR ? CODEC_NO_MEMORY : CODEC_DAMAGED;
}

/* Without a limit of its own: what counts is how much of the dictionary is used (LIMIT_UNPACK_MEMORY). */
static enum codec_step stream_open(struct codec_stream *stream, const unsigned char *head, size_t length)
{
    struct state *state = state_of(stream);
    *state = (struct state){.lzma = LZMA_STREAM_INIT, .allocator = {take, give, stream}};
    state->lzma.allocator = &state->allocator;
    if (xz_begins(head, length))
        return meant(lzma_stream_decoder(&state->lzma, UINT64_MAX, 0));
    if (lzip_begins(head, length))
        return meant(lzma_lzip_decoder(&state->lzma, UINT64_MAX, 0));
    return meant(lzma_alone_decoder(&state->lzma, UINT64_MAX));
}

static enum codec_step stream_step(struct codec_stream *stream)
{
    lzma_stream *lzma = &state_of(stream)->lzma;
    lzma->next_in = stream->input;
    lzma->avail_in = stream->input_left;
    lzma->next_out = stream->output;
    lzma->avail_out = stream->output_room;
    lzma_ret status = lzma_code(lzma, LZMA_RUN);
    stream->input += stream->input_left - lzma->avail_in;
    stream->input_left = lzma->avail_in;
    stream->output_room = lzma->avail_out;
    return status == LZMA_STREAM_END ? CODEC_ENDS : meant(status == LZMA_BUF_ERROR ? LZMA_OK : status);
}

static void stream_close(struct codec_stream *stream) { lzma_end(&state_of(stream)->lzma); }

const struct codec codec_xz = {.begins = begins, .padded = true, .open = stream_open, .step = stream_step,
                               .close = stream_close};

static unsigned bid(const struct bid_view *view) { return begins(view->head, view->head_length) ? 48 : 0; }

static bool run(struct scan *scan, const struct source *source)
{
    unsigned char head[6];
    ssize_t got = source_read(source, head, sizeof head, 0);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    if (got <= 0)
        return false;
    return unpack_run(scan, source, 0, &codec_xz,
                      xz_begins(head, (size_t)got) ? "xz" : lzip_begins(head, (size_t)got) ? "lzip" : "lzma");
}

const struct format format_xz = {"xz", bid, run};
