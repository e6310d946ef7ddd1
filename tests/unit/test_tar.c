/* Tar: ustar, GNU and pax members, and the tar of old PyTorch. */
#include "scanned.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static void header_add(struct built *tar, const char *name, const char *prefix, char type, uint64_t size, bool binary)
{
    unsigned char header[512] = {0};
    unsigned sum = 0;
    strncpy((char *)header, name, 100);
    memcpy(header + 100, "0000644", 8);
    if (binary) {
        header[124] = 0x80;
        for (unsigned i = 0; i < 8; i++)
            header[135 - i] = (unsigned char)(size >> 8 * i);
    } else {
        snprintf((char *)header + 124, 12, "%011llo", (unsigned long long)size);
    }
    memcpy(header + 148, "        ", 8);
    header[156] = (unsigned char)type;
    memcpy(header + 257, "ustar\00000", 8);
    strncpy((char *)header + 345, prefix, 154);
    for (size_t i = 0; i < sizeof header; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
    built_add(tar, header, sizeof header);
}

static void data_add(struct built *tar, const void *data, size_t length)
{
    static const unsigned char zeros[512];
    built_add(tar, data, length);
    built_add(tar, zeros, (512 - length % 512) % 512);
}

static void end_add(struct built *tar)
{
    static const unsigned char zeros[1024];
    built_add(tar, zeros, sizeof zeros);
}

#define CALLS pickle_calls, pickle_calls_length

static void member_add(struct built *tar, const char *name, const void *data, size_t length)
{
    header_add(tar, name, "", '0', length, false);
    data_add(tar, data, length);
}

static bool calls_in(const struct scanned *scanned, const char *member)
{
    return scanned_has(scanned, "call", "", member);
}

static void test_members(void)
{
    struct scanned scanned;
    struct built tar = {0};
    char pax[64];
    member_add(&tar, "readme.txt", "hello", 5);
    header_add(&tar, "folder", "", '5', 0, false);
    header_add(&tar, "link", "", '2', 512, false); /* a size without data */
    member_add(&tar, "a.pkl", CALLS);
    header_add(&tar, "b.pkl", "some/prefix", '0', pickle_calls_length, true);
    data_add(&tar, CALLS);
    header_add(&tar, "././@LongLink", "", 'L', 14, false);
    data_add(&tar, "gnu/long/name", 14);
    member_add(&tar, "cut", CALLS);
    snprintf(pax, sizeof pax, "16 path=pax/nam\n12 size=%03zu\n", pickle_calls_length);
    header_add(&tar, "PaxHeader", "", 'x', strlen(pax), false);
    data_add(&tar, pax, strlen(pax));
    header_add(&tar, "cut", "", '0', 0, false); /* the real size is pax's */
    data_add(&tar, CALLS);
    header_add(&tar, "unknown", "", 'Z', pickle_calls_length, false);
    data_add(&tar, CALLS);
    end_add(&tar);
    scan_bytes(tar.data, tar.length, &scanned);
    unit_ok(strcmp(scanned.formats, "tar pickle") == 0, "formats are \"%s\"", scanned.formats);
    unit_ok(calls_in(&scanned, "a.pkl"), "a file behind a folder and a link");
    unit_ok(calls_in(&scanned, "some/prefix/b.pkl"), "prefix, and a size in base 256");
    unit_ok(calls_in(&scanned, "gnu/long/name"), "GNU's long name");
    unit_ok(calls_in(&scanned, "pax/nam"), "pax name and size");
    unit_ok(calls_in(&scanned, "unknown"), "a type that nobody knows is a file");
    unit_ok(scanned_count(&scanned, "malformed") == 0 && scanned_count(&scanned, "opaque") == 0,
            "nothing malformed or opaque");

    struct built packed = {0};
    built_deflate(&packed, tar.data, tar.length, 31);
    scan_bytes(packed.data, packed.length, &scanned);
    unit_ok(strcmp(scanned.formats, "gzip tar pickle") == 0 && calls_in(&scanned, "pax/nam"), "the same in gzip");
    built_free(&packed);

    tar.length = 5 * 512 + pickle_calls_length - 1; /* of a.pkl everything but STOP */
    scan_bytes(tar.data, tar.length, &scanned);
    unit_ok(calls_in(&scanned, "a.pkl") && scanned_has(&scanned, "malformed", "tar-truncated", NULL),
            "cut within a member: what there is counts, and it is told");
    built_free(&tar);
}

static void test_torch(void)
{
    struct scanned scanned;
    struct built tar = {0};
    member_add(&tar, "storages", CALLS);
    member_add(&tar, "tensors", "\x80\x02K\0.", 5);
    member_add(&tar, "pickle", CALLS);
    end_add(&tar);
    scan_bytes(tar.data, tar.length, &scanned);
    unit_ok(strncmp(scanned.formats, "tar torch-tar", 13) == 0, "PyTorch's old tar: formats are \"%s\"",
            scanned.formats);
    unit_ok(calls_in(&scanned, "storages") && calls_in(&scanned, "pickle"),
            "PyTorch's old tar: first pickles are seen");
    unit_ok(scanned_has(&scanned, "opaque", "torch-legacy-tar", NULL), "PyTorch's old tar: opaque");
    built_free(&tar);
}

static void test_others(void)
{
    struct scanned scanned;
    struct built tar = {0};
    for (unsigned i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "images/%u.png", i);
        member_add(&tar, name, "\x89PNG\r\n\x1a\n and what follows", 26);
    }
    member_add(&tar, "storages", "not a pickle", 12);
    end_add(&tar);
    scan_bytes(tar.data, tar.length, &scanned);
    unit_ok(scanned.result.status == SCAN_NOT_MODEL && !*scanned.text && !*scanned.formats,
            "a tar of images is no model");
    bool kept = false;
    for (size_t length = 0; length < 3000; length++) {
        scan_bytes(tar.data, length, &scanned);
        kept |= scanned.kept != 0;
    }
    unit_ok(!kept, "cut anywhere: all memory given back");
    built_free(&tar);
}

static void test_lies(void)
{
    struct scanned scanned;
    struct built tar = {0};
    member_add(&tar, "a.pkl", CALLS);
    header_add(&tar, "huge", "", '0', UINT64_MAX - 100, true);
    end_add(&tar);
    scan_bytes(tar.data, tar.length, &scanned);
    unit_ok(scanned_has(&scanned, "malformed", "tar-header", NULL) && calls_in(&scanned, "a.pkl"),
            "a size beyond all offsets");
    tar.length = 1024;
    member_add(&tar, "b.pkl", CALLS);
    tar.data[1024] ^= 1;
    scan_bytes(tar.data, tar.length, &scanned);
    unit_ok(scanned_has(&scanned, "malformed", "tar-header", NULL), "a header whose checksum does not fit");
    built_free(&tar);
}

int main(void)
{
    test_members();
    test_torch();
    test_others();
    test_lies();
    return unit_done();
}
