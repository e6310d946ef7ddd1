/* Inflating on demand: any order of reads gives the same bytes, at a bounded cost. */
#include "../../analyzer/arena.h"
#include "../../analyzer/unpack.h"
#include "scanned.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static size_t taken;

static void *take(void *context, size_t bytes)
{
    (void)context;
    taken += bytes;
    return calloc(1, bytes);
}

static void give(void *context, void *pointer, size_t bytes)
{
    (void)context;
    taken -= bytes;
    free(pointer);
}

static unsigned seed = 1;

static unsigned roll(void)
{
    seed = seed * 1103515245 + 12345;
    return seed >> 8;
}

/* Text that deflates to about half. */
static void text_fill(unsigned char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        text[i] = (unsigned char)("0123456789abcdef"[roll() % 16]);
}

struct setting {
    struct scan_request request;
    struct scan_result result;
    struct arena arena;
    struct scan scan;
    struct source_memory memory;
    struct source packed;
    struct unpacker unpacker;
    struct source content;
};

static bool setting_open(struct setting *setting, const struct built *packed, const struct codec *codec)
{
    memset(setting, 0, sizeof *setting);
    setting->request.memory = (struct scan_memory){.take = take, .give = give};
    arena_open(&setting->arena, &setting->request.memory);
    setting->scan = (struct scan){.request = &setting->request, .result = &setting->result, .arena = &setting->arena};
    setting->memory = (struct source_memory){packed->data, packed->length};
    setting->packed = source_from_memory(&setting->memory);
    if (!unpack_open(&setting->unpacker, &setting->scan, &setting->packed, 0, packed->length, codec))
        return false;
    setting->content = unpack_source(&setting->unpacker, SOURCE_SIZE_UNKNOWN);
    return true;
}

static void setting_close(struct setting *setting)
{
    unpack_close(&setting->unpacker);
    arena_close(&setting->arena);
}

static bool read_is(const struct setting *setting, const unsigned char *text, size_t length, size_t offset, size_t want)
{
    static unsigned char buffer[200000];
    size_t there = offset < length ? length - offset : 0;
    ssize_t got = source_read(&setting->content, buffer, want, offset);
    return got == (ssize_t)(want < there ? want : there) &&
           (got == 0 || memcmp(buffer, text + offset, (size_t)got) == 0);
}

static void test_order(const char *name, const struct codec *codec, int window_bits, size_t members, size_t length)
{
    unsigned char *text = malloc(length);
    struct built packed = {0};
    struct setting setting;
    bool same = true;
    if (!text)
        exit(2);
    text_fill(text, length);
    for (size_t i = 0; i < members; i++)
        built_deflate(&packed, text + i * (length / members),
                      i + 1 < members ? length / members : length - i * (length / members), window_bits);
    if (!setting_open(&setting, &packed, codec))
        exit(2);
    for (unsigned i = 0; i < 50; i++) /* near the start, before the rest is there */
        same &= read_is(&setting, text, length, roll() % 100000, roll() % 70000);
    unit_ok(same, "%s: reads near the start", name);
    for (size_t at = 0; at < length + 10; at += 50000)
        same &= read_is(&setting, text, length, at, 50000);
    unit_ok(same && setting.unpacker.front.end == UNPACK_COMPLETE, "%s: forward to the end", name);
    /* The ends of streams count by what goes in. */
    unit_ok(setting.scan.unpacked >= length && setting.scan.unpacked < length + length / 100,
            "%s: each byte unpacked once so far", name);
    for (unsigned i = 0; i < 100; i++)
        same &= read_is(&setting, text, length, roll() % (length + 1000), roll() % 70000);
    unit_ok(same, "%s: in any order", name);
    /* What is not kept is at most a mark's distance and a block away. */
    uint64_t again = setting.scan.unpacked - length;
    unit_ok(again < 100 * (2 * (uint64_t)UNPACK_MARK_DISTANCE * (1 + length / UNPACK_MARKS / UNPACK_MARK_DISTANCE)),
            "%s: %llu bytes unpacked again", name, (unsigned long long)again);
    unit_ok(taken < (8u << 20), "%s: %zu bytes of memory", name, taken);
    setting_close(&setting);
    unit_ok(taken == 0, "%s: all memory given back", name);
    built_free(&packed);
    free(text);
}

int main(void)
{
    test_order("zlib, 300 KB", &codec_zlib, 15, 1, 300000);
    test_order("raw, 8 MB", &codec_deflate, -15, 1, 8000000);
    test_order("gzip of 700 members, 10 MB", &codec_gzip, 31, 700, 10000000);
    test_order("zlib, 80 MB", &codec_zlib, 15, 1, 80000000);
    return unit_done();
}
