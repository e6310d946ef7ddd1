/* Fuzzes reading a compressed source in any order: it gives the bytes that reading it forward gives, keeps no memory, and
 * stays within the budget. The first byte chooses the wrapping and the next seven the order; the rest is the packed data. */
#include "../../analyzer/arena.h"
#include "../../analyzer/inflate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 8u
#define FORWARD_MAX (1u << 20) /* inflated bytes that are compared; bombs teach nothing here */

static void *take(void *context, size_t bytes)
{
    *(size_t *)context += bytes;
    return calloc(1, bytes);
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
    struct inflater inflater;
    size_t taken;
};

static void run_open(struct run *run, const uint8_t *data, size_t size, enum inflate_wrap wrap)
{
    memset(run, 0, sizeof *run);
    run->request.memory = (struct scan_memory){.take = take, .give = give, .context = &run->taken};
    arena_open(&run->arena, &run->request.memory);
    run->scan = (struct scan){.request = &run->request, .result = &run->result, .arena = &run->arena};
    run->memory = (struct source_memory){data, size};
    run->packed = source_from_memory(&run->memory);
    if (!inflate_open(&run->inflater, &run->scan, &run->packed, 0, size, wrap))
        abort();
    run->content = inflate_source(&run->inflater, SOURCE_SIZE_UNKNOWN);
}

static void run_close(struct run *run)
{
    inflate_close(&run->inflater);
    arena_close(&run->arena);
    if (run->taken != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t forward[FORWARD_MAX], again[FORWARD_MAX];
    struct run run;
    if (size < HEAD)
        return 0;
    enum inflate_wrap wrap = data[0] % 3 == 0 ? INFLATE_RAW : data[0] % 3 == 1 ? INFLATE_ZLIB : INFLATE_GZIP;
    run_open(&run, data + HEAD, size - HEAD, wrap);
    ssize_t length = source_read(&run.content, forward, sizeof forward, 0);
    run_close(&run);
    if (length < 0)
        abort();

    uint64_t dice;
    memcpy(&dice, data, sizeof dice);
    dice |= 1;
    run_open(&run, data + HEAD, size - HEAD, wrap);
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
