/* Bzip2, xz, lzma, lz4 and zstd, as far as bytes that the real libraries wrote show it; tests in Python do the rest. */
#include "scanned.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

/* NAME_calls holds pickle_calls, NAME_megabyte the opcodes of a string of a megabyte, popped. */
static const char bzip2_calls[] =
    "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xa6\xee\x44\x80\x00\x00\x0b\xd3\xc0\x54\x10\x00\x01\x10\x40\x0a"
    "\x02\x9e\x20\x42\x00\x20\x00\x22\x8d\x06\x9e\x90\xc6\xa1\x4d\x32\x31\x31\x31\x12\xd4\x95\x6f\x02\x04\x4b"
    "\xbd\xe0\xab\x39\x42\x3e\x2e\xe4\x8a\x70\xa1\x21\x4d\xdc\x89\x00";
static const char bzip2_megabyte[] =
    "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xee\xb2\x54\x5a\x00\x20\x24\xec\x00\xc0\x02\x40\x00\x40\x00\x10"
    "\x00\x00\x08\x20\x00\x50\x60\x01\x4a\x9a\x34\xd0\x80\x77\x11\x00\xde\x11\x00\xf6\xe0\x40\x3e\x2e\xe4\x8a"
    "\x70\xa1\x21\xdd\x64\xa8\xb4";
static const char xz_calls[] =
    "\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00"
    "\x18\x80\x02\x63\x6f\x73\x0a\x73\x79\x73\x74\x65\x6d\x0a\x58\x04\x00\x00\x00\x74\x72\x75\x65\x85\x52\x2e"
    "\x00\x00\x00\x00\x66\xb0\x6e\xf3\xfb\x50\xbb\x73\x00\x01\x31\x19\x59\x1a\xb0\x82\x1f\xb6\xf3\x7d\x01\x00"
    "\x00\x00\x00\x04\x59\x5a";
static const char lzma_calls[] =
    "\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x40\x00\x88\x03\xbc\x30\xbd\x34\xde\x2f\x5e\x26"
    "\xd0\x69\xfb\x36\x17\xfd\x87\x45\x8b\x55\x73\x34\x53\x95\xfc\xfa\x71\xff\xff\xdd\x47\x00\x00";
static const char lz4_calls[] =
    "\x04\x22\x4d\x18\x68\x40\x19\x00\x00\x00\x00\x00\x00\x00\x7a\x19\x00\x00\x80\x80\x02\x63\x6f\x73\x0a\x73"
    "\x79\x73\x74\x65\x6d\x0a\x58\x04\x00\x00\x00\x74\x72\x75\x65\x85\x52\x2e\x00\x00\x00\x00";
static const char zstd_calls[] =
    "\x28\xb5\x2f\xfd\x20\x19\xc9\x00\x00\x80\x02\x63\x6f\x73\x0a\x73\x79\x73\x74\x65\x6d\x0a\x58\x04\x00\x00"
    "\x00\x74\x72\x75\x65\x85\x52\x2e";
static const char zstd_megabyte[] =
    "\x28\xb5\x2f\xfd\xa0\x06\x00\x10\x00\x6c\x00\x00\x28\x42\x00\x00\x10\x00\x01\x00\xf8\xff\x39\xd0\x02\x02"
    "\x00\x10\x00\x02\x00\x10\x00\x02\x00\x10\x00\x02\x00\x10\x00\x02\x00\x10\x00\x02\x00\x10\x00\x02\x00\x10"
    "\x00\x31\x00\x00\x00\x00\x00\x00\x00\x30";

#define SAMPLE(name) name, sizeof name - 1

static const struct sample {
    const char *name;
    const char *calls;
    size_t calls_length;
    const char *megabyte; /* NULL: the same as another's */
    size_t megabyte_length;
} samples[] = {
    {"bzip2", SAMPLE(bzip2_calls), SAMPLE(bzip2_megabyte)}, {"xz", SAMPLE(xz_calls), NULL, 0},
    {"lzma", SAMPLE(lzma_calls), NULL, 0}, {"lz4", SAMPLE(lz4_calls), NULL, 0},
    {"zstd", SAMPLE(zstd_calls), SAMPLE(zstd_megabyte)},
};
#define SAMPLES (sizeof samples / sizeof *samples)

static void test_calls(const struct sample *sample)
{
    struct scanned scanned;
    char formats[32];
    snprintf(formats, sizeof formats, "%s pickle", sample->name);
    scan_bytes(sample->calls, sample->calls_length, &scanned);
    unit_ok(strcmp(scanned.formats, formats) == 0 && scanned_has(&scanned, "call", "", NULL) &&
                scanned_count(&scanned, "malformed") == 0, "%s", scanned.formats);
    unit_ok(scanned.kept == 0, "%s: all memory given back", sample->name);
}

/* What is cut off anywhere is not clean once something of the pickle came out, and never costs memory. */
static void test_cuts(const struct sample *sample)
{
    struct scanned scanned;
    bool given = true, told = true;
    for (size_t length = 0; length < sample->calls_length; length++) {
        scan_bytes(sample->calls, length, &scanned);
        given &= scanned.kept == 0;
        told &= !scanned_has(&scanned, "call", "", NULL) || scanned_has(&scanned, "malformed", "", NULL);
    }
    unit_ok(given, "%s cut short anywhere: all memory given back", sample->name);
    unit_ok(told, "%s cut short anywhere: told where something is found", sample->name);
}

static void test_rows(const struct sample *sample)
{
    struct scanned scanned;
    struct built file = {0};
    for (unsigned i = 0; i < 20; i++)
        built_add(&file, sample->megabyte, sample->megabyte_length);
    built_add(&file, sample->calls, sample->calls_length);
    built_text(&file, "what follows is no stream");
    scan_bytes(file.data, file.length, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL) && scanned_count(&scanned, "malformed") == 0,
            "%s: 21 streams in a row", sample->name);
    file.length = 0;
    for (unsigned i = 0; i < 1025; i++)
        built_add(&file, sample->megabyte, sample->megabyte_length);
    built_add(&file, sample->calls, sample->calls_length);
    scan_bytes(file.data, file.length, &scanned);
    unit_ok(scanned_has(&scanned, "opaque", "unpack-limit", NULL), "%s: more than a gigabyte: opaque, not clean",
            sample->name);
    unit_ok(scanned.kept == 0 && scanned.peak < (16u << 20), "%s: in %zu bytes of memory", sample->name, scanned.peak);
    built_free(&file);
}

/* A window of two gigabytes is no reason to refuse, as long as little of it is used. */
static void test_windows(void)
{
    struct scanned scanned;
    char zstd[] =
        "\x28\xb5\x2f\xfd\x00\xa8\xc9\x00\x00\x80\x02\x63\x6f\x73\x0a\x73\x79\x73\x74\x65\x6d\x0a\x58\x04\x00\x00"
        "\x00\x74\x72\x75\x65\x85\x52\x2e";
    char lzma[sizeof lzma_calls];
    scan_bytes(zstd, sizeof zstd - 1, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "zstd with a window of two gigabytes");
    memcpy(lzma, lzma_calls, sizeof lzma);
    memcpy(lzma + 1, "\0\0\0\x40", 4);
    scan_bytes(lzma, sizeof lzma - 1, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "lzma with a dictionary of one gigabyte");
}

int main(void)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        test_calls(&samples[i]);
        test_cuts(&samples[i]);
        if (samples[i].megabyte)
            test_rows(&samples[i]);
    }
    test_windows();
    return unit_done();
}
