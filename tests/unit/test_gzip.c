/* Gzip and zlib streams, and inflating on demand. */
#include "scanned.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define GZIP 31
#define ZLIB 15

static void scan_packed(struct scanned *scanned, const void *data, size_t length, int window_bits)
{
    struct built packed = {0};
    built_deflate(&packed, data, length, window_bits);
    scan_bytes(packed.data, packed.length, scanned);
    built_free(&packed);
}

/* A list of many numbers, then a call; "size" of it about the bytes asked for. */
static void long_pickle(struct built *pickle, size_t length)
{
    unsigned seed = 1;
    built_text(pickle, "\x80\x02(");
    while (pickle->length < length) {
        seed = seed * 1103515245 + 12345;
        built_text(pickle, "J");
        built_le(pickle, 4, seed);
    }
    built_text(pickle, "l");
    built_add(pickle, pickle_calls + 2, pickle_calls_length - 2);
}

static void test_pickles(void)
{
    struct scanned scanned;
    struct built pickle = {0};
    scan_packed(&scanned, pickle_calls, pickle_calls_length, GZIP);
    unit_ok(strcmp(scanned.formats, "gzip pickle") == 0 && scanned_has(&scanned, "call", "", NULL), "a pickle in gzip");
    scan_packed(&scanned, pickle_calls, pickle_calls_length, ZLIB);
    unit_ok(strcmp(scanned.formats, "zlib pickle") == 0 && scanned_has(&scanned, "call", "", NULL), "a pickle in zlib");
    long_pickle(&pickle, 3000000);
    scan_packed(&scanned, pickle.data, pickle.length, GZIP);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "a call behind 3 MB of numbers");
    unit_ok(scanned.kept == 0, "all memory given back");
    unit_ok(scanned_count(&scanned, "malformed") == 0, "nothing malformed");
    built_free(&pickle);
}

static void test_zfile(void)
{
    struct scanned scanned;
    struct built file = {0};
    for (unsigned space = 0; space < 2; space++) {
        file.length = 0;
        built_text(&file, "ZF0x19               ");
        if (space)
            built_text(&file, " ");
        built_deflate(&file, pickle_calls, pickle_calls_length, ZLIB);
        scan_bytes(file.data, file.length, &scanned);
        unit_ok(scanned_has(&scanned, "call", "", NULL), "joblib's old header, %u spaces more", space);
    }
    built_free(&file);
}

static void test_members(void)
{
    struct scanned scanned;
    struct built file = {0};
    built_deflate(&file, pickle_calls, 5, GZIP);
    built_le(&file, 8, 0);
    built_deflate(&file, pickle_calls + 5, pickle_calls_length - 5, GZIP);
    scan_bytes(file.data, file.length, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "a pickle over two members");
    built_free(&file);
}

static void test_others(void)
{
    struct scanned scanned;
    size_t length = 8u << 20;
    char *text = malloc(length);
    struct built packed = {0};
    if (!text)
        exit(2);
    unsigned seed = 1;
    for (size_t i = 0; i < length; i++) {
        seed = seed * 1103515245 + 12345;
        text[i] = "0123456789,\n"[(seed >> 16) % 12];
    }
    built_deflate(&packed, text, length, GZIP);
    scan_bytes(packed.data, packed.length, &scanned);
    unit_ok(scanned.result.status == SCAN_NOT_MODEL && !*scanned.text && !*scanned.formats, "text in gzip is no model");
    unit_ok(packed.length > 400000 && scanned.bytes_read < 100000, "of %zu packed bytes %llu are read", packed.length,
            (unsigned long long)scanned.bytes_read);
    scan_bytes("x^2 + y^2 = z^2 is text that begins like zlib", 45, &scanned);
    unit_ok(scanned.result.status == SCAN_NOT_MODEL && !*scanned.text, "text that begins like zlib");
    free(text);
    built_free(&packed);
}

static void test_damage(void)
{
    struct scanned scanned;
    struct built pickle = {0}, packed = {0};
    built_add(&pickle, pickle_calls, pickle_calls_length - 1);
    for (unsigned i = 0; i < 40000; i++) /* a number, popped */
        built_le(&pickle, 3, 0x30004bu | (i * 2654435761u >> 16 & 0xff00));
    built_deflate(&packed, pickle.data, pickle.length, GZIP);
    scan_bytes(packed.data, packed.length / 2, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "a payload before a cut counts");
    unit_ok(scanned_has(&scanned, "malformed", "packed-truncated", NULL), "and the cut is told");
    packed.data[packed.length - 6] ^= 1;
    scan_bytes(packed.data, packed.length, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "a payload before a wrong checksum counts");
    unit_ok(scanned_has(&scanned, "malformed", "packed-damaged", NULL), "and that is told");
    built_free(&pickle);
    built_free(&packed);
}

/* More than a gigabyte that is a pickle all the way, a string after the other, and then a call. */
static void test_bomb(void)
{
    static const unsigned char head[] = "\x80\x02", string[] = "B\0\0\x10";
    struct scanned scanned;
    struct built megabyte = {0}, once = {0}, packed = {0};
    built_add(&megabyte, string, sizeof string);
    for (unsigned i = 0; i < 1u << 17; i++)
        built_le(&megabyte, 8, 0);
    built_text(&megabyte, "0");
    built_deflate(&packed, head, sizeof head - 1, GZIP);
    built_deflate(&once, megabyte.data, megabyte.length, GZIP);
    for (unsigned i = 0; i < 1025; i++)
        built_add(&packed, once.data, once.length);
    built_deflate(&packed, pickle_calls + 2, pickle_calls_length - 2, GZIP);
    scan_bytes(packed.data, packed.length, &scanned);
    unit_ok(scanned_has(&scanned, "opaque", "unpack-limit", NULL), "more than a gigabyte: opaque, not clean");
    unit_ok(scanned.kept == 0 && scanned.peak < (8u << 20), "in %zu bytes of memory", scanned.peak);
    built_free(&megabyte);
    built_free(&once);
    built_free(&packed);
}

int main(void)
{
    test_pickles();
    test_zfile();
    test_members();
    test_others();
    test_damage();
    test_bomb();
    return unit_done();
}
