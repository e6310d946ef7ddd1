/* Fuzzes one format behind its bid, so that no effort goes into finding the way there. For inclusion by fuzz_FORMAT.c,
 * which defines FUZZED as the format. Promises checked: what does not bid is not asked, and memory is given back. */
#include "../../analyzer/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Windows of decompressors can be gigabytes; running out of memory is a way through the code as well. */
#define MEMORY_MAX ((size_t)64 << 20)

static void *fuzz_take(void *context, size_t bytes)
{
    size_t *taken = context;
    void *pointer = bytes <= MEMORY_MAX - *taken ? calloc(1, bytes) : NULL;
    if (pointer)
        *taken += bytes;
    return pointer;
}

static void fuzz_give(void *context, void *pointer, size_t bytes)
{
    *(size_t *)context -= bytes;
    free(pointer);
}

/* Looks at every byte of what is reported, so that dangling strings show. */
static enum scan_answer fuzz_listen(void *context, const struct effect *effect)
{
    const char *const texts[] = {effect->name,   effect->alias,    effect->field,
                                 effect->member, effect->revision, effect->detail};
    char rendered[512];
    size_t *total = context;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *total += texts[i] ? strlen(texts[i]) : 0;
    *total += effect_render_arguments(effect, rendered, sizeof rendered);
    return SCAN_GO_ON;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source_memory memory = {data, size};
    size_t taken = 0, told = 0;
    struct scan_request request = {.source = source_from_memory(&memory),
                                   .memory = {.take = fuzz_take, .give = fuzz_give, .context = &taken},
                                   .sink = fuzz_listen,
                                   .sink_context = &told};
    struct scan_result result = {.status = SCAN_DONE};
    struct arena arena;
    struct scan scan = {.request = &request, .result = &result, .arena = &arena};
    size_t head = size < SCAN_HEAD ? size : SCAN_HEAD, tail = size < SCAN_TAIL ? size : SCAN_TAIL;
    struct bid_view view = {data, head, data + (size - tail), tail, size};
    if (size == 0 || FUZZED.bid(&view) < BID_RUN)
        return 0;
    arena_open(&arena, &request.memory);
    FUZZED.run(&scan, &request.source);
    arena_close(&arena);
    if (taken != 0) {
        fprintf(stderr, "the scan kept %zu bytes\n", taken);
        abort();
    }
    return 0;
}
