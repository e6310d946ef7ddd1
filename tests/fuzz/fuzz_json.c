/* Fuzzes the JSON reader itself, and through it nothing else. Promises checked: a text that comes in dribs tells the
 * same as one that comes at once; depth and lengths keep their limits; an end comes again. */
#include "../../analyzer/arena.h"
#include "../../analyzer/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *fuzz_take(void *context, size_t bytes)
{
    (void)context;
    return calloc(1, bytes);
}

static void fuzz_give(void *context, void *pointer, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(pointer);
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

/* All that is told, in one number. */
static uint64_t digest(const uint8_t *data, size_t size, size_t step)
{
    struct dribble dribble = {data, size, step};
    struct source source = {.pread = dribble_pread, .context = &dribble, .size = size};
    struct scan_memory memory = {.take = fuzz_take, .give = fuzz_give};
    struct json json;
    struct arena arena;
    char way[100];
    uint64_t sum = 0xcbf29ce484222325u;
    enum json_event event;

    arena_open(&arena, &memory);
    if (!json_open(&json, &arena, &source))
        abort();
    do {
        event = json_next(&json);
        size_t length = json_path(&json, way, sizeof(way));
        bool text = event == JSON_KEY || event == JSON_STRING || event == JSON_STRING_MORE;
        if (json.depth > LIMIT_JSON_DEPTH || length >= sizeof(way) ||
            (text && (json.text_length >= sizeof(json.text) || json.text[json.text_length] != '\0')))
            abort();
        sum = (sum ^ (unsigned)event ^ json.depth << 8) * 0x100000001b3u;
        for (size_t i = 0; i < length; i++)
            sum = (sum ^ (unsigned char)way[i]) * 0x100000001b3u;
        for (size_t i = 0; text && i < json.text_length; i++)
            sum = (sum ^ (unsigned char)json.text[i]) * 0x100000001b3u;
    } while (event != JSON_FAILED && event != JSON_FINISHED);
    if (json_next(&json) != event)
        abort();
    arena_close(&arena);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (digest(data, size, SIZE_MAX) != digest(data, size, 1 + size % 7))
        abort();
    return 0;
}
