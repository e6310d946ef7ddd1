/* The window over a source: what it shows, what it skips without reading, and what it does when reads are short or
 * fail. */
#include "../../analyzer/arena.h"
#include "../../analyzer/reader.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* A source of numbered bytes: the byte at `offset` is offset % 251, or '\n' every `line` bytes. */
struct pattern {
    size_t step, line;
    uint64_t broken_from, bytes_read;
};

static ssize_t pattern_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct pattern *pattern = context;
    size_t i;

    if (offset >= pattern->broken_from)
        return -EIO;
    if (length > pattern->step)
        length = pattern->step;
    for (i = 0; i < length; i++) {
        uint64_t at = offset + i;

        ((unsigned char *)buffer)[i] = pattern->line && at % pattern->line == pattern->line - 1 ? '\n'
                                       : (unsigned char)(at % 251 == '\n' ? 'x' : at % 251);
    }
    pattern->bytes_read += length;
    return (ssize_t)length;
}

static unsigned char byte_at(uint64_t at)
{
    return (unsigned char)(at % 251 == '\n' ? 'x' : at % 251);
}

static void test_forward(struct arena *arena, size_t step)
{
    struct pattern pattern = {step, 0, UINT64_MAX, 0};
    struct source source = {.pread = pattern_pread, .context = &pattern, .size = 300000};
    struct reader reader;
    unsigned char bytes[1000];
    uint64_t at = 0;
    uint8_t value;
    bool right = reader_open(&reader, arena, &source, 0, UINT64_MAX);

    while (right && at + sizeof bytes + 1 <= source.size) {
        right = reader_u8(&reader, &value) && value == byte_at(at) && reader_bytes(&reader, bytes, sizeof bytes) &&
                bytes[0] == byte_at(at + 1) && bytes[999] == byte_at(at + 1000);
        at += 1001;
    }
    unit_ok(right && reader.position == at, "reads forward in pieces of %zu", step);
    unit_ok(!reader_bytes(&reader, bytes, sizeof bytes) && reader.position == at && !reader.error,
            "does not move where there is not enough, in pieces of %zu", step);
}

static void test_skip(struct arena *arena)
{
    struct pattern pattern = {SIZE_MAX, 0, UINT64_MAX, 0};
    struct source source = {.pread = pattern_pread, .context = &pattern, .size = (uint64_t)10 << 40};
    struct reader reader;
    const unsigned char *recent;
    uint32_t value;

    reader_open(&reader, arena, &source, 0, source.size);
    unit_ok(reader_skip(&reader, (uint64_t)9 << 40) && reader_le32(&reader, &value), "skips terabytes");
    unit_ok(pattern.bytes_read <= LIMIT_WINDOW, "and does not read them");
    unit_ok(!reader_skip(&reader, (uint64_t)2 << 40) && !reader_skip(&reader, UINT64_MAX),
            "does not skip past the end");
    recent = reader_recent(&reader, reader.position - 4, 4);
    unit_ok(recent && recent[0] == byte_at(reader.position - 4), "what was read lately is still there");
    unit_ok(!reader_recent(&reader, 0, 4) && !reader_recent(&reader, reader.position, LIMIT_WINDOW + 1) &&
                !reader_recent(&reader, UINT64_MAX - 1, 4), "and nothing else");
    reader_skip(&reader, LIMIT_WINDOW - 8);
    unit_ok(reader_peek(&reader, LIMIT_PEEK, NULL) &&
                reader_recent(&reader, reader.position - LIMIT_HISTORY, LIMIT_HISTORY),
            "history stays behind when the window moves on");
}

static void test_lines(struct arena *arena, size_t step)
{
    struct pattern pattern = {step, 777, UINT64_MAX, 0};
    struct source source = {.pread = pattern_pread, .context = &pattern, .size = 777 * 500 + 10};
    struct reader reader;
    const unsigned char *line;
    size_t length;
    uint64_t skipped;
    unsigned count = 0, far = 0;

    reader_open(&reader, arena, &source, 0, source.size);
    while (reader_line(&reader, LIMIT_PEEK, &line, &length) && length == 776 &&
           line[0] == byte_at(count * (uint64_t)777))
        count++;
    unit_ok(count == 500 && reader.end - reader.position == 10, "lines, in pieces of %zu", step);
    reader_open(&reader, arena, &source, 0, source.size);
    unit_ok(!reader_line(&reader, 700, &line, &length) && reader.position == 0, "no line longer than asked for");
    while (reader_skip_line(&reader, &skipped) && skipped == 776)
        far++;
    unit_ok(far == 500 && reader.end - reader.position == 10, "lines skipped, in pieces of %zu", step);
}

static void test_faults(struct arena *arena)
{
    struct pattern pattern = {SIZE_MAX, 0, 100000, 0};
    struct source source = {.pread = pattern_pread, .context = &pattern, .size = 200000};
    struct reader reader;
    uint8_t value;

    reader_open(&reader, arena, &source, 0, source.size);
    unit_ok(reader_skip(&reader, 150000) && !reader_u8(&reader, &value) && reader.error == EIO,
            "a failed read is an error");
    unit_ok(!reader_peek(&reader, 1, NULL), "which stays");
    source.size = 1 << 20;
    pattern.broken_from = UINT64_MAX;
    reader_open(&reader, arena, &source, 5, 9);
    unit_ok(reader_skip(&reader, 3) && reader_u8(&reader, &value) && value == 8 && !reader_u8(&reader, &value),
            "reads a range and no more");
    reader_open(&reader, arena, &source, UINT64_MAX, UINT64_MAX);
    unit_ok(!reader_u8(&reader, &value) && !reader.error, "a range past the end is empty");
}

static void test_arena(void)
{
    size_t taken = 0, i;
    const struct scan_memory memory = {.take = take, .give = give, .context = &taken};
    struct arena arena;
    struct arena_mark mark;
    unsigned char *first, *second;
    bool zero = true;

    arena_open(&arena, &memory);
    arena_take(&arena, 100);
    mark = arena_mark(&arena);
    first = arena_take(&arena, 1000);
    memset(first, 0xff, 1000);
    arena_take(&arena, 1 << 20);
    arena_release(&arena, mark);
    second = arena_take(&arena, 2000);
    for (i = 0; i < 2000; i++)
        zero &= second[i] == 0;
    unit_ok(second == first && zero, "released memory is used again, zeroed");
    unit_ok((uintptr_t)arena_take(&arena, 1) % 16 == 0 && (uintptr_t)arena_take(&arena, 1) % 16 == 0, "aligned");
    unit_ok(!arena_take(&arena, LIMIT_ARENA) && !arena_take(&arena, SIZE_MAX) && arena.exhausted, "capped");
    arena_close(&arena);
    unit_ok(taken == 0, "everything is given back");
}

int main(void)
{
    size_t taken = 0;
    const struct scan_memory memory = {.take = take, .give = give, .context = &taken};
    struct arena arena;

    arena_open(&arena, &memory);
    test_forward(&arena, SIZE_MAX);
    test_forward(&arena, 1);
    test_forward(&arena, 4097);
    test_skip(&arena);
    test_lines(&arena, SIZE_MAX);
    test_lines(&arena, 3);
    test_faults(&arena);
    arena_close(&arena);
    test_arena();
    return unit_done();
}
