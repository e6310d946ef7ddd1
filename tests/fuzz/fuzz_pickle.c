/* Fuzzes the pickle machine alone, without the bid in front of it, over a source that dribbles and fails.
 *
 * Checked beyond the sanitizers: memory is given back, a settled name is not told again, and what is told does not hang
 * on how the source deals its bytes. */
#include "../../analyzer/arena.h"
#include "../../analyzer/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_MAX ((size_t)256 << 20)

struct run {
    const uint8_t *data;
    size_t size;
    size_t piece;      /* most bytes a read returns */
    uint64_t fails_at; /* reads that reach here fail */
    size_t taken;
    bool settle;
    uint64_t digest;
    unsigned told;
};

static void *take(void *context, size_t bytes)
{
    struct run *run = context;
    void *pointer = bytes > MEMORY_MAX - run->taken ? NULL : calloc(1, bytes);

    if (pointer)
        run->taken += bytes;
    return pointer;
}

static void give(void *context, void *pointer, size_t bytes)
{
    ((struct run *)context)->taken -= bytes;
    free(pointer);
}

static ssize_t deal(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct run *run = context;

    if (offset >= run->size)
        return 0;
    if (length > run->size - offset)
        length = (size_t)(run->size - offset);
    if (length > run->piece)
        length = run->piece;
    if (offset + length > run->fails_at)
        return -EIO;
    memcpy(buffer, run->data + offset, length);
    return (ssize_t)length;
}

static void fold(struct run *run, const char *text)
{
    for (; text && *text; text++)
        run->digest = (run->digest ^ (unsigned char)*text) * 0x100000001b3u;
    run->digest = (run->digest ^ 0xff) * 0x100000001b3u;
}

static enum scan_answer listen(void *context, const struct effect *effect)
{
    struct run *run = context;
    char arguments[1024];

    effect_render_arguments(effect, arguments, sizeof arguments);
    fold(run, effect_kind_name(effect->kind));
    fold(run, effect->name);
    fold(run, effect->alias);
    fold(run, arguments);
    fold(run, effect->via);
    fold(run, effect->member);
    fold(run, effect->detail);
    run->told++;
    return run->settle ? SCAN_SETTLED : SCAN_GO_ON;
}

static void scan(struct run *run, enum scan_status *status)
{
    const struct scan_request request = {.source = {.pread = deal, .context = run, .size = run->size},
                                         .memory = {.take = take, .give = give, .context = run},
                                         .sink = listen,
                                         .sink_context = run};
    struct scan_result result = {.status = SCAN_DONE};
    struct arena arena;
    struct scan scan = {.request = &request, .result = &result, .arena = &arena};

    run->digest = 0xcbf29ce484222325u;
    arena_open(&arena, &request.memory);
    format_pickle.run(&scan, &request.source);
    arena_close(&arena);
    *status = result.status;
    if (run->taken) {
        fprintf(stderr, "%zu bytes not given back\n", run->taken);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole = {.data = data, .size = size, .piece = SIZE_MAX, .fails_at = UINT64_MAX};
    struct run dribs = whole, settled = whole, broken = whole;
    enum scan_status status, other;

    scan(&whole, &status);
    dribs.piece = 1 + size % 7;
    scan(&dribs, &other);
    if (status != other || whole.digest != dribs.digest) {
        fprintf(stderr, "dribs of %zu bytes tell otherwise\n", dribs.piece);
        abort();
    }
    settled.settle = true;
    scan(&settled, &other);
    if (settled.told > whole.told) {
        fprintf(stderr, "%u effects when settled, %u when not\n", settled.told, whole.told);
        abort();
    }
    broken.fails_at = size / 2;
    scan(&broken, &other);
    return 0;
}
