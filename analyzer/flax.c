/* Flax checkpoints: MessagePack with three extension types. Data only; recognised, and read to their end because a
 * broken one must not pass for clean.
 *
 * Facts: flax/serialization.py (_msgpack_ext_pack: 1 is an array, (shape, name of dtype, bytes) packed once more, 2 a
 * complex number, 3 a numpy scalar; arrays past 2^30 bytes become dictionaries marked "__msgpack_chunked_array__") and
 * the MessagePack specification. Other programs' MessagePack has no such arrays and does not bid. */
#include "bytes.h"
#include "reader.h"

#include <string.h>

#define FORMAT "flax-msgpack"

enum item_kind { ITEM_SCALAR, ITEM_TEXT, ITEM_BYTES, ITEM_ARRAY, ITEM_MAP, ITEM_EXTENSION };

/* One item's head. */
struct item {
    enum item_kind kind;
    uint64_t length; /* bytes that follow, or children of an array or map (a map's keys count too) */
    int extension;   /* type of ITEM_EXTENSION */
    size_t head;     /* bytes of the head itself */
};
#define HEAD_MAX 6u

static uint64_t big_endian(const unsigned char *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Heads from 0xc0 to 0xdf: the kind, the bytes that a length takes, and the length where it takes none. */
static const struct {
    signed char kind; /* -1: there is no such item */
    unsigned char width, fixed;
} heads[32] = {
    {ITEM_SCALAR, 0, 0},    {-1, 0, 0},             {ITEM_SCALAR, 0, 0},    {ITEM_SCALAR, 0, 0}, /* nil, -, booleans */
    {ITEM_BYTES, 1, 0},     {ITEM_BYTES, 2, 0},     {ITEM_BYTES, 4, 0},
    {ITEM_EXTENSION, 1, 0}, {ITEM_EXTENSION, 2, 0}, {ITEM_EXTENSION, 4, 0},
    {ITEM_SCALAR, 0, 4},    {ITEM_SCALAR, 0, 8},                                                      /* floats */
    {ITEM_SCALAR, 0, 1},    {ITEM_SCALAR, 0, 2},    {ITEM_SCALAR, 0, 4},    {ITEM_SCALAR, 0, 8},     /* unsigned */
    {ITEM_SCALAR, 0, 1},    {ITEM_SCALAR, 0, 2},    {ITEM_SCALAR, 0, 4},    {ITEM_SCALAR, 0, 8},     /* signed */
    {ITEM_EXTENSION, 0, 1}, {ITEM_EXTENSION, 0, 2}, {ITEM_EXTENSION, 0, 4}, {ITEM_EXTENSION, 0, 8},
    {ITEM_EXTENSION, 0, 16},
    {ITEM_TEXT, 1, 0},      {ITEM_TEXT, 2, 0},      {ITEM_TEXT, 4, 0},
    {ITEM_ARRAY, 2, 0},     {ITEM_ARRAY, 4, 0},     {ITEM_MAP, 2, 0},       {ITEM_MAP, 4, 0},
};

/* Takes the head of an item apart. False: it is cut off, or none. */
static bool item_read(const unsigned char *bytes, size_t size, struct item *item)
{
    if (size == 0)
        return false;
    unsigned first = bytes[0];
    *item = (struct item){.kind = ITEM_SCALAR, .head = 1};
    if (first < 0x80 || first >= 0xe0)
        return true;
    if (first < 0xc0) {
        item->kind = first < 0x90 ? ITEM_MAP : first < 0xa0 ? ITEM_ARRAY : ITEM_TEXT;
        item->length = first & (item->kind == ITEM_TEXT ? 31u : 15u);
    } else {
        unsigned width = heads[first - 0xc0].width;
        if (heads[first - 0xc0].kind < 0 || size < 1 + width)
            return false;
        item->kind = (enum item_kind)heads[first - 0xc0].kind;
        item->length = width ? big_endian(bytes + 1, width) : heads[first - 0xc0].fixed;
        item->head += width;
    }
    if (item->kind == ITEM_MAP)
        item->length *= 2;
    if (item->kind == ITEM_EXTENSION) {
        if (size < item->head + 1)
            return false;
        item->extension = (signed char)bytes[item->head++];
    }
    return true;
}

/* Do the bytes begin as Flax packs an array: three items, of which the first is the shape and the second names
 * a dtype? */
static bool array_begins(const unsigned char *bytes, size_t size)
{
    struct item item;
    size_t at = 1;
    if (size < 4 || bytes[0] != 0x93 || !item_read(bytes + at, size - at, &item) || item.kind != ITEM_ARRAY ||
        item.length > 32)
        return false;
    at += item.head;
    for (uint64_t left = item.length; left > 0; left--, at += item.head + (size_t)item.length)
        if (at >= size || !item_read(bytes + at, size - at, &item) || item.kind != ITEM_SCALAR)
            return false;
    return at < size && item_read(bytes + at, size - at, &item) && item.kind == ITEM_TEXT && item.length >= 3 &&
           item.length <= 32;
}

/* Arrays stand behind a few names, which fit into the head of the file. */
static unsigned flax_bid(const struct bid_view *view)
{
    const unsigned char *head = view->head;
    struct item item;
    uint64_t pending = 1;
    if (!item_read(head, view->head_length, &item) || item.kind != ITEM_MAP)
        return 0;
    for (size_t at = 0; pending > 0 && at < view->head_length;) {
        size_t left = view->head_length - at;
        if (!item_read(head + at, left, &item))
            return 0;
        const unsigned char *body = head + at + item.head;
        left -= item.head;
        if (item.kind == ITEM_EXTENSION && (item.extension == 1 || item.extension == 3) && array_begins(body, left))
            return 48;
        if (item.kind == ITEM_TEXT && item.length <= left &&
            bytes_begin(body, (size_t)item.length, "__msgpack_chunked_array__"))
            return 48;
        bool container = item.kind == ITEM_ARRAY || item.kind == ITEM_MAP;
        pending += container ? item.length : 0;
        pending--;
        if (!container && item.length > left)
            return 0;
        at += item.head + (container ? 0 : (size_t)item.length);
    }
    return 0;
}

struct walk {
    struct scan *scan;
    const struct source *source;
    struct reader reader;
    uint64_t items, pending;
};

/* Takes one item. Bytes that are no array's may be anything, a pickle too. False: the walk ends here. */
static bool walk_step(struct walk *walk)
{
    struct reader *reader = &walk->reader;
    struct scan *scan = walk->scan;
    struct item item;
    size_t got;
    uint64_t start = reader->position;
    const unsigned char *bytes = reader_rest(reader, HEAD_MAX, &got);
    if (!bytes || !item_read(bytes, got, &item)) {
        if (!reader->error)
            scan_malformed(scan, FORMAT, "flax-damaged", start, "no valid MessagePack from here on");
        return false;
    }
    reader_skip(reader, item.head);
    walk->pending--;
    if (item.kind == ITEM_ARRAY || item.kind == ITEM_MAP) {
        walk->pending += item.length;
        return true;
    }
    if (item.kind == ITEM_BYTES) {
        struct source_slice slice = {walk->source, reader->position};
        struct source inside = source_from_slice(&slice, item.length);
        (void)scan_nested(scan, &inside, "bytes");
    }
    if (reader_skip(reader, item.length))
        return true;
    scan_malformed(scan, FORMAT, "flax-truncated", start, "the file ends within a value");
    return false;
}

static bool flax_run(struct scan *scan, const struct source *source)
{
    struct walk walk = {.scan = scan, .source = source, .pending = 1};
    bool model = scan->model;
    scan_is(scan, FORMAT);
    if (!reader_open(&walk.reader, scan->arena, source, 0, source->size)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    scan->model = true;
    bool whole = true;
    while (whole && walk.pending > 0 && walk.items < LIMIT_FLAX_ITEMS && !scan->stopped) {
        whole = walk_step(&walk);
        walk.items++;
    }
    if (walk.reader.error)
        scan_failed(scan, SCAN_IO, walk.reader.error);
    else if (whole && walk.pending > 0 && !scan->stopped)
        scan_opaque(scan, FORMAT, "flax-size", walk.reader.position, "more values than are inspected");
    else if (whole && reader_peek(&walk.reader, 1, NULL))
        scan_malformed(scan, FORMAT, "flax-trailing", walk.reader.position, "something follows the model");
    scan->model = model;
    return true;
}

const struct format format_flax = {FORMAT, flax_bid, flax_run};
