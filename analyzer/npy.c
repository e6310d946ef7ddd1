/* numpy's .npy: a magic, a header that is a Python dict literal, then raw elements, or a pickle if the type holds
 * objects.
 *
 * Facts: numpy/lib/format.py (read_magic, _read_array_header, descr_to_dtype, read_array). */
#include "npy_header.h"
#include "reader.h"

#include <string.h>

#define MAGIC_SIZE 8u /* "\x93NUMPY", major, minor */

static unsigned npy_bid(const struct bid_view *view)
{
    return view->head_length >= 6 && memcmp(view->head, "\x93NUMPY", 6) == 0 ? 48 : 0;
}

/* Where one array's header and data are. */
struct array {
    const unsigned char *header;
    size_t header_length;
    uint64_t data;
};

/* Reads the header at `start` into the arena. Returns what is wrong with it, or NULL. */
static const char *array_open(struct scan *scan, const struct source *source, uint64_t start, struct array *array)
{
    unsigned char fixed[MAGIC_SIZE + 4];
    ssize_t got = source_read(source, fixed, sizeof fixed, start);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    if (got < (ssize_t)MAGIC_SIZE + 2)
        return "the file ends within the header";
    unsigned major = fixed[6];
    if (major < 1 || major > 3 || fixed[7] != 0 || got < (ssize_t)MAGIC_SIZE + (major == 1 ? 2 : 4))
        return "a version that numpy does not know";
    size_t prefix = MAGIC_SIZE + (major == 1 ? 2 : 4);
    array->header_length = major == 1 ? load_le16(fixed + MAGIC_SIZE) : load_le32(fixed + MAGIC_SIZE);
    if (array->header_length > LIMIT_NPY_HEADER)
        return "a header longer than any real one";
    unsigned char *header = arena_take(scan->arena, array->header_length + 1);
    if (!header) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return NULL;
    }
    got = source_read(source, header, array->header_length, start + prefix);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    if (got != (ssize_t)array->header_length)
        return "the file ends within the header";
    array->header = header;
    array->data = start + prefix + array->header_length;
    return NULL;
}

/* Analyses what lies from `start` to the end. */
static bool rest_scan(struct scan *scan, const struct source *source, uint64_t start)
{
    struct source_slice slice = {source, start};
    struct source rest = source_from_slice(&slice, UINT64_MAX);
    return scan_nested(scan, &rest, "");
}

/* Analyses the array at `start`. Returns where the next thing begins, 0 when that is not known or was analysed. */
static uint64_t array_scan(struct scan *scan, const struct source *source, uint64_t start)
{
    struct array array = {0};
    struct npy_header header;
    const char *wrong = array_open(scan, source, start, &array);
    if (scan->stopped)
        return 0;
    if (!wrong)
        wrong = npy_header_parse(array.header, array.header_length, &header);
    if (wrong)
        scan_malformed(scan, "npy", "npy-header", start, wrong);
    if (!array.header)
        return 0;
    if (!wrong && header.elements == NPY_PLAIN)
        return header.sized && header.bytes <= source->size - array.data ? array.data + header.bytes : 0;
    if (!rest_scan(scan, source, array.data) && !wrong && header.elements == NPY_OBJECTS)
        scan_malformed(scan, "npy", "npy-pickle", array.data, "an array of objects that are no pickle");
    return 0;
}

static bool npy_run(struct scan *scan, const struct source *source)
{
    unsigned char magic[6];
    uint64_t start = 0;
    scan_is(scan, "npy");
    /* Several arrays, or an array and a pickle, can follow each other: whoever wrote them with one file object reads
     * them back the same way. */
    do {
        struct arena_mark mark = arena_mark(scan->arena);
        start = array_scan(scan, source, start);
        arena_release(scan->arena, mark);
    } while (start && !scan->stopped && source_read(source, magic, sizeof magic, start) == (ssize_t)sizeof magic &&
             memcmp(magic, "\x93NUMPY", 6) == 0);
    if (start && !scan->stopped && start < source->size)
        rest_scan(scan, source, start);
    return true;
}

const struct format format_npy = {"npy", npy_bid, npy_run};
