/* The zip container: every reading of it, and what PyTorch and numpy keep in it. */
#define _GNU_SOURCE
#include "scanned.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct header {
    uint16_t flags, method;
    uint32_t crc, packed, unpacked;
    const char *name;
};

struct file {
    const char *name;
    const void *data;
    size_t length;
    bool deflate;
    void (*damage)(struct header *local, struct header *central); /* NULL: the two agree */
};

struct options {
    const char *prefix, *comment;
    uint32_t offset_lie;  /* added to the directory's offset in the end record */
    uint32_t header_base; /* added to members' offsets: those of a prefix that writers know of */
    int count_lie;
    bool zip64;
};

static void header_write(struct built *zip, const struct header *header)
{
    built_le(zip, 2, 20);
    built_le(zip, 2, header->flags);
    built_le(zip, 2, header->method);
    built_le(zip, 4, 0x21 << 16);
    built_le(zip, 4, header->crc);
    built_le(zip, 4, header->packed);
    built_le(zip, 4, header->unpacked);
    built_le(zip, 2, strlen(header->name));
}

static void member_write(struct built *zip, struct built *directory, const struct file *file, uint32_t base)
{
    struct built packed = {0};
    if (file->deflate)
        built_deflate(&packed, file->data, file->length, -15);
    else
        built_add(&packed, file->data, file->length);
    struct header local = {0, file->deflate ? 8 : 0, (uint32_t)crc32(0, file->data, (uInt)file->length),
                           (uint32_t)packed.length, (uint32_t)file->length, file->name};
    struct header central = local;
    if (file->damage)
        file->damage(&local, &central);
    uint32_t offset = (uint32_t)zip->length + base;
    built_text(zip, "PK\3\4");
    header_write(zip, &local);
    built_le(zip, 2, 0);
    built_text(zip, local.name);
    built_add(zip, packed.data, packed.length);
    built_text(directory, "PK\1\2\24");
    built_le(directory, 1, 3);
    header_write(directory, &central);
    built_le(directory, 6, 0);
    built_le(directory, 6, 0);
    built_le(directory, 4, offset);
    built_text(directory, central.name);
    built_free(&packed);
}

static void zip_build(struct built *zip, const struct file *files, size_t count, const struct options *options)
{
    static const struct options none;
    struct built directory = {0};
    if (!options)
        options = &none;
    if (options->prefix)
        built_text(zip, options->prefix);
    size_t base = zip->length;
    for (size_t i = 0; i < count; i++)
        member_write(zip, &directory, &files[i], options->header_base - (uint32_t)base);
    uint64_t offset = zip->length - base + options->header_base + options->offset_lie;
    uint64_t entries = count + (uint64_t)(int64_t)options->count_lie;
    built_add(zip, directory.data, directory.length);
    if (options->zip64) {
        uint64_t record = zip->length;
        built_text(zip, "PK\6\6");
        built_le(zip, 8, 44);
        built_le(zip, 8, 0x2d002d);
        built_le(zip, 4, 0);
        built_le(zip, 8, entries);
        built_le(zip, 8, entries);
        built_le(zip, 8, directory.length);
        built_le(zip, 8, offset);
        built_text(zip, "PK\6\7");
        built_le(zip, 4, 0);
        built_le(zip, 8, record);
        built_le(zip, 4, 1);
    }
    built_text(zip, "PK\5\6");
    built_le(zip, 4, 0);
    built_le(zip, 4, (entries & 0xffff) | (entries & 0xffff) << 16);
    built_le(zip, 4, options->zip64 ? UINT32_MAX : directory.length);
    built_le(zip, 4, options->zip64 ? UINT32_MAX : offset);
    built_le(zip, 2, options->comment ? strlen(options->comment) : 0);
    if (options->comment)
        built_text(zip, options->comment);
    built_free(&directory);
}

static void scan_files(struct scanned *scanned, const struct file *files, size_t count, const struct options *options)
{
    struct built zip = {0};
    zip_build(&zip, files, count, options);
    scan_bytes(zip.data, zip.length, scanned);
    built_free(&zip);
}

/* A PyTorch zip whose data.pkl calls something. */
#define CALLS pickle_calls, pickle_calls_length

static bool calls_in(const struct scanned *scanned, const char *member)
{
    return scanned_has(scanned, "call", "", member);
}

static void test_torch(bool deflate)
{
    struct scanned scanned;
    struct file files[] = {
        {"m/data.pkl", pickle_calls, pickle_calls_length, deflate, NULL},
        {"m/version", "3\n", 2, deflate, NULL},
        {"m/data/0", CALLS, deflate, NULL},
        {"m/data/other", CALLS, deflate, NULL},
    };
    const char *how = deflate ? "deflated" : "stored";
    scan_files(&scanned, files, 4, NULL);
    unit_ok(strcmp(scanned.formats, "zip torch-zip pickle") == 0, "torch zip, %s: formats are \"%s\"", how,
            scanned.formats);
    unit_ok(calls_in(&scanned, "m/data.pkl"), "torch zip, %s: data.pkl is analysed", how);
    unit_ok(!calls_in(&scanned, "m/data/0"), "torch zip, %s: a storage is not, whatever it holds", how);
    unit_ok(calls_in(&scanned, "m/data/other"), "torch zip, %s: what PyTorch does not number is", how);
    unit_ok(scanned_count(&scanned, "malformed") == 0 && scanned_count(&scanned, "opaque") == 0,
            "torch zip, %s: nothing malformed or opaque", how);
    unit_ok(scanned.kept == 0, "torch zip, %s: all memory given back", how);
}

static void test_storages_elsewhere(void)
{
    struct scanned scanned;
    struct file files[] = {{"a/version", "3\n", 2, false, NULL}, {"b/data.pkl", CALLS, false, NULL},
                           {"b/data/0", CALLS, false, NULL}};
    scan_files(&scanned, files, 3, NULL);
    unit_ok(calls_in(&scanned, "b/data/0"), "storages are those of the archive that PyTorch would read");
}

#define GIGABYTE (1u << 30)

static void size_gigabyte(struct header *local, struct header *central)
{
    local->packed = local->unpacked = central->packed = central->unpacked = GIGABYTE;
}

static void test_large(void)
{
    struct scanned scanned;
    struct file files[] = {{"m/data.pkl", CALLS, false, NULL}, {"m/data/0", "", 0, false, size_gigabyte}};
    struct built zip = {0};
    zip_build(&zip, files, 2, NULL);
    size_t directory = zip.length - 22 - (46 + 10) - (46 + 8);
    zip.length = 0;
    zip_build(&zip, files, 2, &(struct options){.offset_lie = GIGABYTE});
    scan_hollow(zip.data, zip.length, directory, GIGABYTE, &scanned);
    unit_ok(calls_in(&scanned, "m/data.pkl") && scanned_count(&scanned, "malformed") == 0, "a gigabyte of storage");
    unit_ok(scanned.bytes_read < 4 * SCAN_HEAD + (70u << 10), "a gigabyte of storage: %llu bytes are read",
            (unsigned long long)scanned.bytes_read);
    unit_ok(scanned.peak < (2u << 20), "a gigabyte of storage: %zu bytes of memory", scanned.peak);
    built_free(&zip);
}

static void names_differ(struct header *local, struct header *central)
{
    (void)central;
    local->name = "m/xxxx.pkl";
}

static void local_encrypted(struct header *local, struct header *central)
{
    (void)central;
    local->flags |= 1;
}

static void central_encrypted(struct header *local, struct header *central)
{
    (void)local;
    central->flags |= 1;
}

static void both_encrypted(struct header *local, struct header *central)
{
    local->flags |= 1;
    central->flags |= 1;
}

static void methods_differ(struct header *local, struct header *central)
{
    (void)local;
    central->method ^= 8;
}

static void sizes_differ(struct header *local, struct header *central)
{
    local->packed--;
    local->unpacked--;
    (void)central;
}

static void crc_wrong(struct header *local, struct header *central)
{
    local->crc ^= 1;
    central->crc ^= 1;
}

static void method_unknown(struct header *local, struct header *central)
{
    local->method = central->method = 14;
}

static void size_short(struct header *local, struct header *central)
{
    local->unpacked -= 3;
    central->unpacked -= 3;
}

static void size_long(struct header *local, struct header *central)
{
    local->unpacked += 3;
    central->unpacked += 3;
}

static void test_disagreements(void)
{
    static const struct {
        const char *what, *token;
        bool deflate;
        void (*damage)(struct header *, struct header *);
    } cases[] = {
        {"names", "zip-names-differ", false, names_differ},
        {"encrypted locally", "zip-flags-differ", false, local_encrypted},
        {"encrypted centrally", "zip-flags-differ", true, central_encrypted},
        {"encrypted by flag, plain in fact", "zip-flags-differ", true, both_encrypted},
        {"methods, stored", "zip-methods-differ", false, methods_differ},
        {"methods, deflated", "zip-methods-differ", true, methods_differ},
        {"sizes", "zip-sizes-differ", false, sizes_differ},
        {"checksum, stored", "zip-crc", false, crc_wrong},
        {"checksum, deflated", "zip-crc", true, crc_wrong},
        {"size too short", "zip-sizes-differ", true, size_short},
        {"size too long", "zip-sizes-differ", true, size_long},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scanned scanned;
        struct file files[] = {{"m/data.pkl", CALLS, cases[i].deflate, cases[i].damage},
                               {"m/version", "3\n", 2, false, NULL}};
        scan_files(&scanned, files, 2, NULL);
        unit_ok(scanned_has(&scanned, "malformed", cases[i].token, "m/data.pkl"), "%s: %s", cases[i].what,
                cases[i].token);
        unit_ok(calls_in(&scanned, "m/data.pkl"), "%s: the pickle is seen all the same", cases[i].what);
    }
}

static void test_two_archives(void)
{
    struct scanned scanned;
    struct file version = {"m/version", "3\n", 2, false, NULL};
    struct file bad[] = {{"m/data.pkl", CALLS, false, NULL}, version};
    struct file good[] = {{"m/data.pkl", "\x80\x02}.                        ", pickle_calls_length, false, NULL},
                          version};
    struct built zip = {0};

    /* zipfile takes the offsets as relative to the second, miniz to the file: of the same sizes, both
     * find something. */
    zip_build(&zip, bad, 2, NULL);
    size_t first = zip.length;
    zip_build(&zip, good, 2, NULL);
    unit_ok(zip.length == 2 * first, "the two archives have the same size");
    scan_bytes(zip.data, zip.length, &scanned);
    unit_ok(scanned_has(&scanned, "malformed", "zip-directories-differ", NULL) && calls_in(&scanned, "m/data.pkl"),
            "two archives in a row: the first is what miniz reads");

    /* The end record of the first, kept as the comment's bytes behind the second's directory. */
    struct built both = {0};
    zip.length = 0;
    zip_build(&zip, bad, 2, NULL);
    built_add(&both, zip.data, first);
    both.data[first - 2] = 22;
    built_add(&both, zip.data + first - 22, 22);
    memcpy(both.data + both.length - 22 + 12, "\0\0\0\0", 4); /* an empty directory ... */
    memcpy(both.data + both.length - 22 + 8, "\0\0\0\0", 4);
    scan_bytes(both.data, both.length, &scanned);
    unit_ok(calls_in(&scanned, "m/data.pkl") && scanned_has(&scanned, "malformed", "zip-several-ends", NULL),
            "an end record of nothing in the comment of the real one");
    built_free(&both);
    built_free(&zip);
}

/* What torch.distributed.checkpoint writes: archives of torch.save in a row, each of which is read for itself. */
static void test_chain(void)
{
    struct scanned scanned;
    struct file version = {"archive/version", "3\n", 2, false, NULL};
    struct file bad[] = {{"archive/data.pkl", CALLS, false, NULL}, version};
    struct file good[] = {{"archive/data.pkl", "\x80\x02}.                        ", pickle_calls_length, false, NULL},
                          version};
    struct file longer[] = {{"archive/data.pkl", "\x80\x02}.", 4, false, NULL},
                            {"archive/data/0", "four", 4, false, NULL}, version};
    static const struct options wide = {.zip64 = true};
    for (unsigned order = 0; order < 8; order++) {
        struct built zip = {0};
        for (unsigned i = 0; i < 3; i++) {
            bool wider = i + 1 != order && i == order % 2;
            zip_build(&zip, i + 1 == order ? bad : wider ? longer : good, wider ? 3 : 2, order & 4 ? &wide : NULL);
        }
        scan_bytes(zip.data, zip.length, &scanned);
        bool poisoned = order >= 1 && order <= 3;
        unit_ok(scanned_count(&scanned, "malformed") == 0 && calls_in(&scanned, "archive/data.pkl") == poisoned,
                "a chain of archives, %u", order);
        built_free(&zip);
    }

    struct built zip = {0};
    zip_build(&zip, good, 2, &(struct options){.prefix = "other bytes"});
    zip_build(&zip, bad, 2, NULL);
    scan_bytes(zip.data, zip.length, &scanned);
    unit_ok(scanned_count(&scanned, "malformed") > 0 && calls_in(&scanned, "archive/data.pkl"),
            "other bytes before a chain");

    /* miniz takes the last directory's offset from the beginning of the file on: there another one is hidden. */
    struct built inner = {0}, chain = {0};
    zip_build(&inner, bad, 2, NULL);
    struct file tensor[] = {{"archive/data.pkl", "\x80\x02}.", 4, false, NULL},
                            {"archive/data/0", (const char *)inner.data, inner.length, false, NULL}};
    zip_build(&chain, tensor, 2, NULL);
    tensor[1].length = (size_t)((unsigned char *)memmem(inner.data, inner.length, "PK\1\2", 4) - inner.data);
    static const char numbers[256];
    unit_ok(tensor[1].length < sizeof numbers, "the tensor's numbers suffice");
    tensor[1].data = numbers;
    zip_build(&chain, tensor, 2, NULL);
    scan_bytes(chain.data, chain.length, &scanned);
    unit_ok(scanned_count(&scanned, "malformed") > 0 && calls_in(&scanned, "archive/data.pkl"),
            "a directory inside a tensor");
    built_free(&chain);
    built_free(&inner);
    built_free(&zip);
}

static void test_directories(void)
{
    struct scanned scanned;
    struct file good[] = {{"m/data.pkl", "\x80\x02}.", 4, false, NULL}, {"m/version", "3\n", 2, false, NULL}};
    struct file bad[] = {{"m/data.pkl", CALLS, false, NULL}, {"m/version", "3\n", 2, false, NULL}};
    struct file twice[] = {good[0], bad[0], good[1]};

    scan_files(&scanned, twice, 3, NULL);
    unit_ok(scanned_has(&scanned, "malformed", "zip-duplicate-name", NULL) && calls_in(&scanned, "m/data.pkl"),
            "one name twice: both are analysed, and it is said");

    scan_files(&scanned, bad, 2, &(struct options){.prefix = "#!/bin/sh\n"});
    unit_ok(scanned_has(&scanned, "malformed", "zip-prefix", NULL) && calls_in(&scanned, "m/data.pkl"),
            "bytes in front that offsets do not count");
    scan_files(&scanned, bad, 2, &(struct options){.prefix = "#!/bin/sh\n", .header_base = 10});
    unit_ok(scanned_has(&scanned, "malformed", "zip-prefix", NULL) && calls_in(&scanned, "m/data.pkl"),
            "bytes in front that offsets count");
    scan_files(&scanned, bad, 2, &(struct options){.count_lie = -1});
    unit_ok(scanned_has(&scanned, "malformed", "zip-count-differs", NULL) && calls_in(&scanned, "m/data.pkl"),
            "fewer members counted than there are");
    scan_files(&scanned, bad, 2, &(struct options){.zip64 = true});
    unit_ok(scanned_count(&scanned, "malformed") == 0 && calls_in(&scanned, "m/data.pkl"), "zip64 end record");
    scan_files(&scanned, bad, 2, &(struct options){.comment = "a comment"});
    unit_ok(scanned_count(&scanned, "malformed") == 0 && calls_in(&scanned, "m/data.pkl"), "a comment");

    test_two_archives();
    test_chain();
}

static void test_broken(void)
{
    struct scanned scanned;
    struct file files[] = {{"m/data.pkl", CALLS, true, NULL}, {"m/version", "3\n", 2, false, NULL}};
    struct built zip = {0};
    zip_build(&zip, files, 2, NULL);
    scan_bytes(zip.data, zip.length - 30, &scanned);
    unit_ok(scanned_has(&scanned, "opaque", "zip-no-directory", NULL),
            "a torch zip without its directory is not clean");
    bool survived = true;
    for (size_t length = 0; length < zip.length; length++) {
        scan_bytes(zip.data, length, &scanned);
        survived &= scanned.kept == 0;
    }
    unit_ok(survived, "cut anywhere: all memory given back");
    built_free(&zip);
}

static void test_overlap(void)
{
    enum { COPIES = 40, PADDING = 4000, ENTRY = 46 + 10 };
    struct scanned scanned;
    struct built zip = {0}, many = {0};
    unsigned char padded[PADDING] = {0};
    memcpy(padded, pickle_calls, pickle_calls_length);
    struct file files[] = {{"m/data.pkl", padded, PADDING, false, NULL}};
    zip_build(&zip, files, 1, NULL);
    size_t directory = zip.length - 22 - ENTRY;
    built_add(&many, zip.data, directory);
    for (unsigned i = 0; i < COPIES; i++)
        built_add(&many, zip.data + directory, ENTRY);
    built_text(&many, "PK\5\6");
    built_le(&many, 4, 0);
    built_le(&many, 4, COPIES | COPIES << 16);
    built_le(&many, 4, COPIES * ENTRY);
    built_le(&many, 4, directory);
    built_le(&many, 2, 0);
    scan_bytes(many.data, many.length, &scanned);
    unit_ok(scanned_has(&scanned, "malformed", "zip-overlap", NULL) && calls_in(&scanned, "m/data.pkl"),
            "members that share their data: told");
    unit_ok(scanned_count(&scanned, "call") < COPIES, "and not analysed for each");
    built_free(&many);
    built_free(&zip);
}

static void test_methods(void)
{
    struct scanned scanned;
    struct file torch[] = {{"m/data.pkl", CALLS, false, method_unknown}};
    struct file plain[] = {{"notes.txt", "text", 4, false, method_unknown}};
    scan_files(&scanned, torch, 1, NULL);
    unit_ok(scanned_has(&scanned, "opaque", "zip-method", NULL), "a method that is not read, in a model: opaque");
    scan_files(&scanned, plain, 1, NULL);
    unit_ok(scanned.result.status == SCAN_NOT_MODEL && !*scanned.text, "a method that is not read, elsewhere: nothing");
}

static void test_plain(void)
{
    struct scanned scanned;
    struct file text[] = {{"a/readme.txt", "hello", 5, true, NULL}, {"a/readme.txt", "hello", 5, false, crc_wrong},
                          {"a/secret", "\1\2\3\4\5\6\7\10\11\12\13\14\15", 13, false, both_encrypted}};
    struct file pickles[] = {{"a/readme.txt", "hello", 5, true, NULL}, {"a/x", CALLS, true, NULL}};
    scan_files(&scanned, text, 3, &(struct options){.prefix = "stub", .count_lie = 1});
    unit_ok(scanned.result.status == SCAN_NOT_MODEL && !*scanned.text && !*scanned.formats,
            "an ordinary zip, however odd, is no model");
    scan_files(&scanned, pickles, 2, NULL);
    unit_ok(strcmp(scanned.formats, "zip pickle") == 0 && calls_in(&scanned, "a/x"),
            "a pickle in an ordinary zip is found");

    struct built inner = {0};
    zip_build(&inner, pickles, 2, NULL);
    for (int deflate = 0; deflate < 2; deflate++) {
        struct file outer[] = {{"inner.zip", inner.data, inner.length, deflate, NULL}};
        scan_files(&scanned, outer, 1, NULL);
        unit_ok(calls_in(&scanned, "inner.zip!a/x"), "a zip in a zip, %s", deflate ? "deflated" : "stored");
    }
    built_free(&inner);
}

static void test_torchscript(void)
{
    static const char source[] = "class M(Module):\n"
                                 "  def forward(self, x: Tensor) -> Tensor:\n"
                                 "    y = torch . from_file(\"/etc/passwd\", False, 10)\n"
                                 "    ops.aten.save(x, \"out.bin\")\n"
                                 "    _0 = torch.add(x, y)  # torch.save(\n"
                                 "    s = \"torch.save(\"\n"
                                 "    b = ops.torchvision.nms(x, y, 0.5)\n"
                                 "    c : __torch__.torch.classes.mine.Box = self.box\n"
                                 "    d = (self).ops.mine.shell(x)\n"
                                 "    e = ^Python(1)(x)\n"
                                 "    f = 1 ^ x\n"
                                 "    return (self).save(_0)\n";
    static const char alias[] = "t = torch\n", followed[] = "t = ops.mine\nt.shell(x)\n";
    struct scanned scanned;
    struct file files[] = {{"m/data.pkl", "\x80\x02}.", 4, false, NULL},
                           {"m/code/__torch__.py", source, sizeof source - 1, true, NULL},
                           {"m/constants.pkl", "\x80\x02).", 4, false, NULL},
                           {"m/constants/0", CALLS, false, NULL}};
    scan_files(&scanned, files, 4, NULL);
    unit_ok(strcmp(scanned.formats, "zip torchscript pickle") == 0, "torchscript: formats are \"%s\"", scanned.formats);
    unit_ok(scanned_count(&scanned, "code torchscript [") == 1, "torchscript: says once that it is code");
    unit_ok(scanned_has(&scanned, "read", "/etc/passwd", "m/code/__torch__.py"),
            "torchscript: from_file with its path");
    unit_ok(scanned_has(&scanned, "write", "out.bin", "m/code/__torch__.py"), "torchscript: save with its path");
    unit_ok(scanned_count(&scanned, "write") == 1 && scanned_count(&scanned, "read") == 1,
            "torchscript: comments, strings and methods called save are none");
    unit_ok(scanned_has(&scanned, "code", "torchscript-operator/torchvision/nms", NULL),
            "torchscript: another library's operator");
    unit_ok(scanned_has(&scanned, "code", "torchscript-class/mine/Box", NULL), "torchscript: another library's class");
    unit_ok(scanned_has(&scanned, "code", "torchscript-python-op", NULL) && scanned_count(&scanned, "code") == 4,
            "torchscript: a call back into Python, and nothing else");
    unit_ok(!calls_in(&scanned, "m/constants/0"), "torchscript: constants are storages too");
    files[1].data = alias;
    files[1].length = sizeof alias - 1;
    scan_files(&scanned, files, 4, NULL);
    unit_ok(scanned_has(&scanned, "opaque", "torchscript-alias", NULL), "torchscript: torch under another name");
    files[1].data = followed;
    files[1].length = sizeof followed - 1;
    scan_files(&scanned, files, 4, NULL);
    unit_ok(scanned_count(&scanned, "opaque torchscript-alias") == 1, "torchscript: a namespace under another name");

    struct file package[] = {{"p/.data/extern_modules", "torch\n", 6, false, NULL},
                             {"p/model/model.pkl", CALLS, false, NULL},
                             {"p/mod.py", "import os\n", 10, false, NULL}};
    scan_files(&scanned, package, 3, NULL);
    unit_ok(scanned_has(&scanned, "code", "torch-package", NULL) && calls_in(&scanned, "p/model/model.pkl"),
            "torch.package: code, and its pickles are analysed");
}

int main(void)
{
    test_torch(false);
    test_torch(true);
    test_storages_elsewhere();
    test_large();
    test_disagreements();
    test_directories();
    test_broken();
    test_overlap();
    test_methods();
    test_plain();
    test_torchscript();
    return unit_done();
}
