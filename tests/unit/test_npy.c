/* numpy's .npy: which headers make what follows a pickle. */
#include "scanned.h"
#include "unit.h"

#include <string.h>

static void npy_add(struct built *file, unsigned version, const char *header)
{
    built_text(file, "\x93NUMPY");
    built_le(file, 1, version);
    built_le(file, 1, 0);
    built_le(file, version == 1 ? 2 : 4, strlen(header));
    built_text(file, header);
}

static void scan_array(struct scanned *scanned, unsigned version, const char *header, const void *data, size_t length)
{
    struct built file = {0};
    npy_add(&file, version, header);
    built_add(&file, data, length);
    scan_bytes(file.data, file.length, scanned);
    built_free(&file);
}

/* Types that hold objects for numpy, or might: the pickle behind them must be found. */
static void test_objects(void)
{
    static const char *const types[] = {
        "'|O'", "'O'", "'|O8'", "'object'", "'i4,O'", "'\\x4f'", "\"|O\"", "[('a', '<i4'), ('b', '|O')]",
        "[('a', [('b', '|O', (2,))])]", "('|O', (3,))", "[(('title', 'name'), 'O')]", "'<M8[O]x'", "'?O'",
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (unsigned version = 1; version <= 3; version++) {
            char header[256];
            struct scanned scanned;
            snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': False, 'shape': (1,), }   \n", types[i]);
            scan_array(&scanned, version, header, pickle_calls, pickle_calls_length);
            unit_ok(scanned_has(&scanned, "call", "", NULL) && scanned_count(&scanned, "malformed") == 0,
                    "version %u, %s: the pickle is seen", version, types[i]);
        }
}

static void test_plain(void)
{
    static const char *const types[] = {
        "'<f8'",
        "'|b1'",
        "'<U10'",
        "'|S7'",
        "'<M8[ns]'",
        "'<m8[25s]'",
        "[('O', '<i4'), ('', '|V4'), ('object', '<f4', (2, 3))]",
        "[((\"it's\", 'a\\'b'), '<i4')]",
        "('<i4', (2, 2))",
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char header[256];
        struct scanned scanned;
        /* The elements are a pickle's bytes: numpy does not unpickle them. */
        snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': True, 'shape': (1000L,), }   \n", types[i]);
        scan_array(&scanned, 1, header, pickle_calls, pickle_calls_length);
        unit_ok(strcmp(scanned.formats, "npy") == 0 && !*scanned.text && scanned.result.status == SCAN_DONE,
                "%s: nothing to see", types[i]);
    }
}

/* Literals that numpy would read in some way, but never writes: said, and what follows is looked at. */
static void test_odd(void)
{
    static const char *const headers[] = {
        "{'descr': '<f8', 'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': 'O' '', 'fortran_order': False, 'shape': (1,)}",
        "({'descr': '|O', 'fortran_order': False, 'shape': (1,)})",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)} # comment",
        "{'descr': u'|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '''|O''', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'shape': (1,)}",
        "{\t'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "", "{", "{'descr': '|O", "[[[[[[[[",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct scanned scanned;
        scan_array(&scanned, 1, headers[i], pickle_calls, pickle_calls_length);
        unit_ok(scanned_has(&scanned, "malformed", "npy-header", NULL), "odd header %zu: malformed", i);
        unit_ok(scanned_has(&scanned, "call", "", NULL), "odd header %zu: the pickle is seen", i);
    }
}

static void test_nesting(void)
{
    char header[1024] = "{'descr': ";
    struct scanned scanned;
    for (int i = 0; i < 60; i++)
        strcat(header, "[('a', ");
    strcat(header, "'|O'");
    scan_array(&scanned, 1, header, pickle_calls, pickle_calls_length);
    unit_ok(scanned_has(&scanned, "malformed", "npy-header", NULL) && scanned_has(&scanned, "call", "", NULL),
            "a type nested 60 deep");
}

static void test_several(void)
{
    struct built file = {0};
    struct scanned scanned;
    npy_add(&file, 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n");
    built_add(&file, "012345678901234567890123", 24);
    npy_add(&file, 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (), }\n");
    built_add(&file, "0123", 4);
    size_t plain = file.length;
    npy_add(&file, 2, "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n");
    built_add(&file, pickle_calls, pickle_calls_length);
    scan_bytes(file.data, file.length, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "objects behind two plain arrays");
    file.length = plain;
    built_add(&file, pickle_calls, pickle_calls_length);
    scan_bytes(file.data, file.length, &scanned);
    unit_ok(scanned_has(&scanned, "call", "", NULL), "a pickle behind two plain arrays");
    file.length = plain;
    scan_bytes(file.data, file.length, &scanned);
    unit_ok(!*scanned.text, "two plain arrays");
    built_free(&file);
}

static void test_edges(void)
{
    struct built file = {0};
    struct scanned scanned;
    scan_array(&scanned, 1, "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", "garbage!", 8);
    unit_ok(scanned_has(&scanned, "malformed", "npy-pickle", NULL), "objects that are no pickle");
    scan_array(&scanned, 9, "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", "garbage!", 8);
    unit_ok(scanned_has(&scanned, "malformed", "npy-header", NULL), "a version that does not exist");

    npy_add(&file, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (134217728,), }\n");
    scan_hollow(file.data, file.length, file.length, 1u << 30, &scanned);
    unit_ok(!*scanned.text && scanned.bytes_read < 4 * SCAN_HEAD + (70u << 10),
            "a gigabyte of numbers: %llu bytes are read", (unsigned long long)scanned.bytes_read);
    bool kept = false;
    for (size_t length = 0; length < file.length; length++) {
        scan_bytes(file.data, length, &scanned);
        kept |= scanned.kept != 0;
    }
    unit_ok(!kept, "cut anywhere: all memory given back");
    built_free(&file);
}

int main(void)
{
    test_objects();
    test_plain();
    test_odd();
    test_nesting();
    test_several();
    test_edges();
    return unit_done();
}
