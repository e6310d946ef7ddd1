/* Fuzzes the analyzer through its public header, as every kind of file and over every kind of source.
 *
 * Beyond what the sanitizers see it checks promises of scan.h: no bid means no model, and a source that reads in dribs
 * tells the same as one that reads at once. */
#include "../../analyzer/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A gigabyte would only teach the fuzzer to write bombs; running out of memory is a way through the code as well. */
#define MEMORY_MAX (64u << 20)

struct budget {
    size_t taken;
};

static void *take(void *context, size_t bytes)
{
    struct budget *budget = context;
    if (bytes > MEMORY_MAX - budget->taken)
        return NULL;
    void *pointer = calloc(1, bytes);
    if (pointer)
        budget->taken += bytes;
    return pointer;
}

static void give(void *context, void *pointer, size_t bytes)
{
    struct budget *budget = context;
    budget->taken -= bytes;
    free(pointer);
}

/* What a scan said, folded into one number; reading every byte of every string shows dangling ones to the sanitizer. */
struct telling {
    uint64_t digest;
    unsigned effects;
};

static void fold(struct telling *telling, const char *text)
{
    for (; text && *text; text++)
        telling->digest = (telling->digest ^ (unsigned char)*text) * 0x100000001b3u;
    telling->digest = (telling->digest ^ 0xff) * 0x100000001b3u;
}

static enum scan_answer listen(void *context, const struct effect *effect)
{
    struct telling *telling = context;
    char rendered[512];
    fold(telling, effect_kind_name(effect->kind));
    fold(telling, effect->name);
    fold(telling, effect->alias);
    fold(telling, effect->via);
    fold(telling, effect->field);
    fold(telling, effect->revision);
    fold(telling, effect->format);
    fold(telling, effect->member);
    fold(telling, effect->detail);
    effect_render_arguments(effect, rendered, sizeof rendered);
    fold(telling, rendered);
    telling->digest ^= effect->offset;
    telling->effects++;
    return SCAN_GO_ON;
}

/* Reads at most `step` bytes at a time, and fails from `broken_from` on. */
struct dribble {
    const uint8_t *data;
    size_t size, step;
    uint64_t broken_from;
};

static ssize_t dribble_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct dribble *dribble = context;
    if (offset >= dribble->broken_from)
        return -EIO;
    if (offset >= dribble->size)
        return 0;
    size_t count = dribble->size - (size_t)offset;
    if (count > length)
        count = length;
    if (count > dribble->step)
        count = dribble->step;
    memcpy(buffer, dribble->data + offset, count);
    return (ssize_t)count;
}

static struct scan_result scan(struct dribble *dribble, const char *path, struct telling *telling)
{
    struct budget budget = {0};
    struct scan_request request = {
        .source = {.pread = dribble_pread, .context = dribble, .size = dribble->size},
        .path = path,
        .in_model_root = path != NULL,
        .beside = path != NULL,
        .memory = {.take = take, .give = give, .context = &budget},
        .sink = listen,
        .sink_context = telling,
    };
    struct scan_result result;
    *telling = (struct telling){.digest = 0xcbf29ce484222325u};
    scan_run(&request, &result);
    if (budget.taken != 0) {
        fprintf(stderr, "the scan kept %zu bytes\n", budget.taken);
        abort();
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/m/config.json", "/m/adapter_config.json", "/m/tokenizer_config.json",
                                        "/m/model.safetensors.index.json"};
    struct telling whole_telling, other_telling;
    struct dribble whole = {.data = data, .size = size, .step = SIZE_MAX, .broken_from = UINT64_MAX};
    struct scan_result result = scan(&whole, NULL, &whole_telling);

    size_t head = size < SCAN_HEAD ? size : SCAN_HEAD;
    size_t tail = size < SCAN_TAIL ? size : SCAN_TAIL;
    unsigned bid = scan_bid(data, head, data + (size - tail), tail, size);
    if (!(bid & SCAN_BID_CONTENT) && result.status != SCAN_NOT_MODEL) {
        fprintf(stderr, "no bid, yet the scan ended with status %d and %u effects\n", (int)result.status,
                whole_telling.effects);
        abort();
    }

    struct dribble dribs = whole;
    dribs.step = 1 + size % 7;
    struct scan_result again = scan(&dribs, NULL, &other_telling);
    if (again.status != result.status || other_telling.digest != whole_telling.digest) {
        fprintf(stderr, "at once: status %d, %u effects; in dribs: status %d, %u effects\n", (int)result.status,
                whole_telling.effects, (int)again.status, other_telling.effects);
        abort();
    }

    struct dribble broken = whole;
    broken.broken_from = size / 2;
    scan(&broken, NULL, &other_telling);

    scan(&whole, "/m/x.pth", &other_telling);
    if (size > 0 && (data[0] == '{' || data[0] == ' ' || data[0] == '\n' || data[0] == '['))
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
            scan(&whole, paths[i], &other_telling);
    return 0;
}
