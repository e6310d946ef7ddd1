/* Fuzzes what reads configs, as every kind of file there is, and the YAML reader by itself. Promises checked: a text
 * that comes in dribs tells the same as one that comes at once, memory is given back, depths and lengths keep their
 * limits. */
#include "../../analyzer/arena.h"
#include "../../analyzer/config.h"
#include "../../analyzer/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *fuzz_take(void *context, size_t bytes)
{
    *(size_t *)context += bytes;
    return calloc(1, bytes);
}

static void fuzz_give(void *context, void *pointer, size_t bytes)
{
    *(size_t *)context -= bytes;
    free(pointer);
}

static void fold(uint64_t *sum, const char *text)
{
    for (; text && *text; text++)
        *sum = (*sum ^ (unsigned char)*text) * 0x100000001b3u;
}

static enum scan_answer fuzz_listen(void *context, const struct effect *effect)
{
    const char *const texts[] = {effect->name, effect->field, effect->revision, effect->detail, effect->format};
    char rendered[512];

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        fold(context, texts[i]);
    effect_render_arguments(effect, rendered, sizeof(rendered));
    fold(context, rendered);
    return SCAN_GO_ON;
}

struct dribble {
    const uint8_t *data;
    size_t size, step;
};

static ssize_t dribble_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct dribble *dribble = context;
    size_t left = offset < dribble->size ? dribble->size - (size_t)offset : 0;

    length = length < left ? length : left;
    length = length < dribble->step ? length : dribble->step;
    memcpy(buffer, dribble->data + offset, length);
    return (ssize_t)length;
}

/* All that is told of the config `name`, in one number. */
static uint64_t digest(const uint8_t *data, size_t size, size_t step, const char *name)
{
    struct dribble dribble = {data, size, step};
    size_t taken = 0;
    uint64_t sum = 0xcbf29ce484222325u;
    struct scan_request request = {.source = {.pread = dribble_pread, .context = &dribble, .size = size},
                                   .memory = {.take = fuzz_take, .give = fuzz_give, .context = &taken},
                                   .sink = fuzz_listen, .sink_context = &sum};
    struct scan_result result = {.status = SCAN_DONE};
    struct arena arena;
    struct scan scan = {.request = &request, .result = &result, .arena = &arena};

    arena_open(&arena, &request.memory);
    sum ^= config_run(&scan, &request.source, name);
    arena_close(&arena);
    if (taken != 0) {
        fprintf(stderr, "the scan kept %zu bytes\n", taken);
        abort();
    }
    return sum;
}

static void reader_run(const uint8_t *data, size_t size)
{
    struct source_memory bytes = {data, size};
    struct source source = source_from_memory(&bytes);
    size_t taken = 0, events = 0;
    struct scan_memory memory = {.take = fuzz_take, .give = fuzz_give, .context = &taken};
    struct arena arena;
    struct yaml *yaml;
    enum json_event event;

    arena_open(&arena, &memory);
    yaml = arena_take(&arena, sizeof(*yaml));
    if (!yaml || !yaml_open(yaml, &arena, &source))
        abort();
    do {
        event = yaml_next(yaml);
        /* A byte opens a few levels at most, and each is told and closed once. */
        if (yaml->depth > LIMIT_JSON_DEPTH || yaml->text_length >= sizeof(yaml->text) || ++events > 8 * size + 8)
            abort();
    } while (event != JSON_FAILED && event != JSON_FINISHED);
    if (yaml_next(yaml) != event)
        abort();
    arena_close(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"config.yaml", "MLmodel", "README.md",
                                        "config.cfg",  "t.jinja", "model_index.json"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (digest(data, size, SIZE_MAX, names[i]) != digest(data, size, 1 + size % 7, names[i]))
            abort();
    reader_run(data, size);
    return 0;
}
