/* The pickle machine's rooms by themselves: bids, numbers, caps, rings and maps. What streams mean is measured against
 * CPython's unpicklers in tests/python/test_pickle_machine.py. */
#include "../../analyzer/map.h"
#include "../../analyzer/pickle_bid.h"
#include "../../analyzer/pickle_decode.h"
#include "../../analyzer/pickle_ops.h"
#include "scanned.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define BYTES(literal) (const unsigned char *)(literal), sizeof(literal) - 1

static bool bids(const unsigned char *bytes, size_t length) { return pickle_bid(bytes, length, length) >= 8; }

static void test_bids(void)
{
    unsigned op, count = 0;
    unsigned char open[4096];

    for (op = 0; op < 256; op++)
        count += pickle_shapes[op].does != 0;
    unit_ok(count == 68, "68 opcodes");
    unit_ok(bids(BYTES("\x80\x04N.")), "PROTO and STOP");
    unit_ok(bids(BYTES("cm\nf\n)R")), "a call");
    unit_ok(bids(BYTES("cm\nf\n.")), "a name and STOP");
    unit_ok(!bids(BYTES("cm\nf\n")), "a name alone");
    unit_ok(!bids(BYTES("import os\nimport sys\n)R.")), "INST without a mark");
    unit_ok(!bids(BYTES("In the beginning\n(R.")), "INT of no number");
    unit_ok(!bids(BYTES("(C) 1995-2013 Jean-loup Gailly and Mark Adler\n\nThis software is provided 'as-is', without\n"
                        "any express or implied warranty.\n")), "a licence that reads as bytes, PUT and INST");
    unit_ok(bids(BYTES("(icaf\xc3\xa9.b_2\nf\n.")), "INST of a module with letters beyond ASCII");
    unit_ok(!bids(BYTES("\x80\x06N.")), "a protocol of the future");
    unit_ok(!bids(BYTES("X\xff\xff\xff\x7f" "cm\nf\n)R.")), "a payload that is not there");
    unit_ok(bids(BYTES("\x80\x02"
                       "imissing\nmark\n")),
            "a name that Python's unpickler resolves before it misses the mark");
    memset(open, 'N', sizeof open);
    unit_ok(pickle_bid(open, sizeof open, sizeof open * 2) >= 8 && pickle_bid(open, sizeof open, sizeof open) == 0,
            "valid as far as can be seen, if there is more");
    memset(open, '(', sizeof open);
    unit_ok(pickle_bid(open, sizeof open, sizeof open) == 0, "nothing but marks");
}

/* Every prefix of a stream that calls at its very end: only the whole names the call, and none upsets anything. */
static void test_prefixes(void)
{
    static const char stream[] =
        "\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x85R.";
    struct scanned scanned;
    size_t length;
    bool right = true;

    for (length = 0; length < sizeof stream; length++) {
        unsigned char *copy = malloc(length ? length : 1);

        memcpy(copy, stream, length);
        scan_bytes(copy, length, &scanned);
        right &= scanned_has(&scanned, "call", "posix.system", NULL) == (length >= sizeof stream - 2) && !scanned.kept;
        free(copy);
    }
    unit_ok(right, "every prefix");
}

static void test_caps(void)
{
    struct built stream = {0};
    struct scanned scanned;
    unsigned i;

    built_add(&stream, "\x80\x04", 2);
    for (i = 0; i < 70000; i++) {
        built_add(&stream, "Nr", 2);
        built_le(&stream, 4, 1u << 31 | i * 16411);
        built_text(&stream, "0");
    }
    built_text(&stream, "cm\nf\n)R.");
    scan_bytes(stream.data, stream.length, &scanned);
    unit_ok(scanned_has(&scanned, "opaque", "pickle-memo-limit", NULL), "a memo full of gaps is opaque");
    unit_ok(scanned.peak < 32u << 20, "and takes %zu bytes", scanned.peak);
    built_free(&stream);

    /* Tuples displaced by newer ones: what is handed cannot be told, so every name counts as handed. */
    stream = (struct built){0};
    built_text(&stream, "\x80\x04" "cposix\nsystem\nN\x86\x94" "0");
    for (i = 0; i < 100000; i++)
        built_text(&stream, "cm\nC\nN\x86" "0");
    built_add(&stream, "cm\nf\nh\0R.", 10);
    scan_bytes(stream.data, stream.length, &scanned);
    unit_ok(scanned_has(&scanned, "call", "m.f", NULL) && scanned_has(&scanned, "call", "posix.system", NULL),
            "forgotten arguments hand on every name");
    built_free(&stream);

    stream = (struct built){0};
    built_add(&stream, "\x80\x04", 2);
    for (i = 0; i < 100000; i++)
        built_text(&stream, "(");
    built_text(&stream, "cm\nf\n)R.");
    scan_bytes(stream.data, stream.length, &scanned);
    unit_ok(scanned_has(&scanned, "call", "m.f", NULL) && !scanned.kept, "a hundred thousand marks");
    built_free(&stream);
}

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

static void test_map(void)
{
    size_t taken = 0;
    const struct scan_memory memory = {.take = take, .give = give, .context = &taken};
    struct map map = {0};
    uint64_t key;
    bool right = true;

    for (key = 0; key < 5000; key++)
        right &= map_put(&map, &memory, 5000, key << 40, key);
    right &= !map_put(&map, &memory, 5000, 1, 1) && map_put(&map, &memory, 5000, 0, 7) && !map_get(&map, 1);
    for (key = 1; key < 5000; key++)
        right &= map_get(&map, key << 40) && *map_get(&map, key << 40) == key;
    unit_ok(right && *map_get(&map, 0) == 7, "a map up to its cap");
    unit_ok(!map_put(&map, &memory, 9999, UINT64_MAX, 1) && !map_get(&map, UINT64_MAX), "but for one key");
    map_clear(&map, &memory);
    unit_ok(taken == 0 && !map_get(&map, 0), "and away again");
}

static void test_decoder(const char *spelt, enum spelling spelling, const char *expected, size_t length,
                         const char *name)
{
    struct source_memory memory = {(const unsigned char *)spelt, strlen(spelt)};
    struct source whole = source_from_memory(&memory), source;
    struct decoder decoder;
    char bytes[256];
    bool right;
    size_t at;

    source = source_from_spelling(&decoder, &whole, 0, memory.length, spelling);
    right = source_read(&source, bytes, sizeof bytes, 0) == (ssize_t)length && memcmp(bytes, expected, length) == 0;
    for (at = length; at-- > 0;)
        right &= source_read(&source, bytes, 1, at) == 1 && bytes[0] == expected[at];
    unit_ok(right, "%s", name);
}

int main(void)
{
    test_bids();
    test_prefixes();
    test_caps();
    test_map();
    test_decoder("'a\\x80\\n\\\\\\'\\101\\q'", SPELT_ESCAPED, "a\x80\n\\'A\\q", 8, "escapes");
    test_decoder("a\xc2\x80\xc3\xbf\xe2\x82\xac", SPELT_UNICODE, "a\x80\xff", 3, "UTF-8 as far as it is Latin-1");
    test_decoder("a\\u0080\xff\\U000000fe\\q\\u20ac", SPELT_RAW_UNICODE, "a\x80\xff\xfe\\q", 6, "raw unicode escapes");
    return unit_done();
}
