/* Fuzzes reading a compressed source in any order: it gives the bytes that reading it forward gives, keeps no memory,
 * and stays within the budget. The first byte chooses the codec and the next seven the order; the rest is the packed
 * data. */
#include "../../analyzer/arena.h"
#include "../../analyzer/unpack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 8u
#define FORWARD_MAX (1u << 20) /* unpacked bytes that are compared; bombs teach nothing here */

#define MEMORY_MAX ((size_t)256 << 20)

static void *take(void *context, size_t bytes)
{
    size_t *taken = context;
    void *pointer = bytes <= MEMORY_MAX - *taken ? calloc(1, bytes) : NULL;
    if (pointer)
        *taken += bytes;
    return pointer;
}

static void give(void *context, void *pointer, size_t bytes)
{
    *(size_t *)context -= bytes;
    free(pointer);
}

struct run {
    struct scan_request request;
    struct scan_result result;
    struct arena arena;
    struct scan scan;
    struct source_memory memory;
    struct source packed, content;
    struct unpacker unpacker;
    size_t taken;
};

static void run_open(struct run *run, const uint8_t *data, size_t size, const struct codec *codec)
{
    memset(run, 0, sizeof *run);
    run->request.memory = (struct scan_memory){.take = take, .give = give, .context = &run->taken};
    arena_open(&run->arena, &run->request.memory);
    run->scan = (struct scan){.request = &run->request, .result = &run->result, .arena = &run->arena};
    run->memory = (struct source_memory){data, size};
    run->packed = source_from_memory(&run->memory);
    if (!unpack_open(&run->unpacker, &run->scan, &run->packed, 0, size, codec))
        abort();
    run->content = unpack_source(&run->unpacker, SOURCE_SIZE_UNKNOWN);
}

static void run_close(struct run *run)
{
    unpack_close(&run->unpacker);
    arena_close(&run->arena);
    if (run->taken != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec *const codecs[] = {&codec_deflate, &codec_zlib, &codec_gzip, &codec_bzip2,
                                                 &codec_xz, &codec_lz4, &codec_zstd};
    static uint8_t forward[FORWARD_MAX], again[FORWARD_MAX];
    struct run run;
    if (size < HEAD)
        return 0;
    const struct codec *codec = codecs[data[0] % (sizeof codecs / sizeof *codecs)];
    run_open(&run, data + HEAD, size - HEAD, codec);
    ssize_t length = source_read(&run.content, forward, sizeof forward, 0);
    run_close(&run);
    if (length < 0)
        abort();

    uint64_t dice;
    memcpy(&dice, data, sizeof dice);
    dice |= 1;
    run_open(&run, data + HEAD, size - HEAD, codec);
    for (unsigned i = 0; i < 20; i++) {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        size_t offset = (size_t)(dice % ((uint64_t)length + 1)), want = (size_t)(dice >> 40) % 100000;
        if (want > sizeof forward - offset)
            want = sizeof forward - offset;
        ssize_t got = source_read(&run.content, again, want, offset);
        size_t there = (size_t)length - offset;
        if (got != (ssize_t)(want < there ? want : there) || memcmp(again, forward + offset, (size_t)got) != 0)
            abort();
    }
    run_close(&run);
    return 0;
}
