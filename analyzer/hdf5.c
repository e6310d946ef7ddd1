/* HDF5: which other files it reads its data from, and what its attributes carry: Keras' model, and pickles (PyTables
 * and pandas unpickle attributes). What datasets hold is data and not read.
 *
 * Ordinary measurements are kept in HDF5 too, with links from file to file; the format is therefore "keras-h5" only
 * where Keras left its marks. Where nothing says that a file is a model, what cannot be made sense of in it is not held
 * against it. */
#include "hdf5.h"

#include <string.h>

static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/* Message types of object headers. */
enum {
    MESSAGE_LINK_INFO = 0x02, MESSAGE_LINK = 0x06, MESSAGE_EXTERNAL = 0x07, MESSAGE_LAYOUT = 0x08,
    MESSAGE_ATTRIBUTE = 0x0c, MESSAGE_CONTINUATION = 0x10, MESSAGE_SYMBOLS = 0x11, MESSAGE_ATTRIBUTE_INFO = 0x15
};
#define MESSAGE_SHARED 2u /* flag: the message itself lies elsewhere */

const char *hdf5_format(const struct hdf5 *file)
{
    return file->keras ? "keras-h5" : "hdf5";
}

bool hdf5_step(struct hdf5 *file)
{
    if (file->scan->stopped)
        return false;
    if (++file->steps > LIMIT_HDF5_STEPS)
        file->limited = true;
    return !file->limited;
}

/* The page that holds byte `at` of the source, or NULL when the source failed or ends before. */
static const struct hdf5_page *page_at(struct hdf5 *file, uint64_t at)
{
    const size_t size = sizeof file->pages->bytes;
    uint64_t start = at - at % size;
    struct hdf5_page *page = &file->pages[start / size % HDF5_PAGES];
    if (page->start != start) {
        ssize_t got = source_read(file->source, page->bytes, size, start);
        page->start = UINT64_MAX;
        if (got < 0) {
            scan_failed(file->scan, SCAN_IO, (int)-got);
            return NULL;
        }
        page->start = start;
        page->length = (size_t)got;
    }
    return at - start < page->length ? page : NULL;
}

bool hdf5_read(struct hdf5 *file, uint64_t address, void *buffer, size_t length)
{
    unsigned char *to = buffer;
    uint64_t at = address + file->base;
    if (file->scan->stopped)
        return false;
    while (length && at >= address) { /* or it wrapped around */
        const struct hdf5_page *page = page_at(file, at);
        if (!page)
            break;
        size_t from = (size_t)(at - page->start), there = page->length - from;
        if (there > length)
            there = length;
        memcpy(to, page->bytes + from, there);
        to += there;
        at += there;
        length -= there;
    }
    if (length)
        file->damaged = true;
    return length == 0;
}

#define SEEN_SLOTS (2u * LIMIT_HDF5_OBJECTS)

void hdf5_enqueue(struct hdf5 *file, uint64_t address)
{
    size_t i = (size_t)((address * 0x9e3779b97f4a7c15u) >> 32) % SEEN_SLOTS;
    if (!hdf5_defined(file, address))
        return;
    for (; file->seen[i]; i = (i + 1) % SEEN_SLOTS)
        if (file->seen[i] == address + 1)
            return;
    if (file->seen_count == LIMIT_HDF5_OBJECTS) {
        file->limited = true;
        return;
    }
    file->seen_count++;
    file->seen[i] = address + 1;
    file->queue[file->queue_length++] = address;
}

/* Blocks of one header that are still to be read. */
struct blocks {
    uint64_t start[LIMIT_HDF5_DEPTH], length[LIMIT_HDF5_DEPTH];
    unsigned count;
    unsigned budget; /* headers that come back to themselves end */
};

static void blocks_add(struct hdf5 *file, struct blocks *blocks, uint64_t start, uint64_t length)
{
    if (blocks->count == LIMIT_HDF5_DEPTH || blocks->budget == 0) {
        file->damaged = true;
        return;
    }
    blocks->budget--;
    blocks->start[blocks->count] = start;
    blocks->length[blocks->count++] = length;
}

static void info_read(struct hdf5 *file, const unsigned char *message, size_t length, bool links)
{
    size_t at = 2;
    if (length < 2)
        return;
    if (message[1] & 1)
        at += links ? 8 : 2; /* the highest creation index */
    if (length - 2 < at - 2 + 2 * file->offsets)
        return;
    hdf5_dense_walk(file, hdf5_number(message + at, file->offsets),
                    hdf5_number(message + at + file->offsets, file->offsets),
                    links ? hdf5_link_read : hdf5_attribute_read);
}

static void message_read(struct hdf5 *file, struct blocks *blocks, unsigned type, unsigned flags,
                         const unsigned char *message, size_t length, uint64_t address)
{
    if (flags & MESSAGE_SHARED) {
        file->damaged |= type == MESSAGE_ATTRIBUTE || type == MESSAGE_LINK;
        return;
    }
    switch (type) {
    case MESSAGE_LINK_INFO:
        info_read(file, message, length, true);
        break;
    case MESSAGE_ATTRIBUTE_INFO:
        info_read(file, message, length, false);
        break;
    case MESSAGE_LINK:
        hdf5_link_read(file, message, length, address);
        break;
    case MESSAGE_EXTERNAL:
        hdf5_external_read(file, message, length, address);
        break;
    case MESSAGE_LAYOUT:
        hdf5_layout_read(file, message, length);
        break;
    case MESSAGE_ATTRIBUTE:
        hdf5_attribute_read(file, message, length, address);
        break;
    case MESSAGE_CONTINUATION:
        if (length >= file->offsets + file->lengths)
            blocks_add(file, blocks, hdf5_number(message, file->offsets),
                       hdf5_number(message + file->offsets, file->lengths));
        break;
    case MESSAGE_SYMBOLS:
        if (length >= 2 * file->offsets)
            hdf5_symbols_walk(file, hdf5_number(message, file->offsets),
                              hdf5_number(message + file->offsets, file->offsets));
        break;
    default:
        break;
    }
}

/* The messages in one block. `head` bytes come before each one's data. */
static void block_read(struct hdf5 *file, struct blocks *blocks, uint64_t start, uint64_t length, bool first_version,
                       unsigned head)
{
    struct arena_mark mark = arena_mark(file->scan->arena);
    size_t kept = length < 4 * LIMIT_HDF5_MESSAGE ? (size_t)length : 4 * LIMIT_HDF5_MESSAGE, at = 0;
    unsigned char *bytes = arena_take(file->scan->arena, kept + 1);
    if (!bytes) {
        scan_failed(file->scan, SCAN_MEMORY, 0);
        return;
    }
    if (kept < length)
        file->limited = true;
    if (hdf5_read(file, start, bytes, kept))
        while (kept - at >= head && hdf5_step(file)) {
            unsigned type = first_version ? (unsigned)hdf5_number(bytes + at, 2) : bytes[at];
            size_t size = (size_t)hdf5_number(bytes + at + (first_version ? 2 : 1), 2);
            unsigned flags = bytes[at + (first_version ? 4 : 3)];
            at += head;
            if (size > kept - at) /* in version 2 a gap may be left at the end */
                break;
            message_read(file, blocks, type, flags, bytes + at, size, start + at);
            at += size;
        }
    arena_release(file->scan->arena, mark);
}

static void header_read(struct hdf5 *file, uint64_t address)
{
    struct blocks blocks = {.budget = 64};
    unsigned char head[32];
    bool first_version;
    unsigned message_head = 8;
    if (!hdf5_read(file, address, head, 16))
        return;
    first_version = head[0] == 1;
    if (first_version) {
        blocks_add(file, &blocks, address + 16, hdf5_number(head + 8, 4));
    } else if (memcmp(head, "OHDR", 4) == 0 && head[4] == 2) {
        unsigned flags = head[5], size = 1u << (flags & 3);
        uint64_t at = address + 6 + (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0);
        if (!hdf5_read(file, at, head, size))
            return;
        message_head = flags & 4 ? 6 : 4;
        blocks_add(file, &blocks, at + size, hdf5_number(head, size));
    } else {
        file->damaged = true;
        return;
    }
    bool chunk = false;
    while (blocks.count && hdf5_step(file)) {
        uint64_t start = blocks.start[--blocks.count], length = blocks.length[blocks.count];
        if (!first_version && chunk) { /* between "OCHK" and a checksum */
            if (length < 8) {
                file->damaged = true;
                continue;
            }
            start += 4;
            length -= 8;
        }
        chunk = true;
        block_read(file, &blocks, start, length, first_version, message_head);
    }
}

/* The superblock stands at 0 or at a power of two from 512 on, behind whatever the user put there. */
static bool signature_find(const unsigned char *head, size_t length, uint64_t *at)
{
    for (uint64_t place = 0; place + sizeof signature <= length; place = place ? 2 * place : 512)
        if (memcmp(head + place, signature, sizeof signature) == 0) {
            *at = place;
            return true;
        }
    return false;
}

static unsigned hdf5_bid(const struct bid_view *view)
{
    uint64_t at;
    return signature_find(view->head, view->head_length, &at) ? 64 : 0;
}

/* Reads the superblock. Returns the address of the root group's object header, all ones when it makes no sense. */
static uint64_t superblock_read(struct hdf5 *file, uint64_t at)
{
    unsigned char head[24 + 4 + 6 * 8];
    file->base = 0;
    file->offsets = file->lengths = 8;
    ssize_t got = source_read(file->source, head, sizeof head, at);
    if (got < 0)
        scan_failed(file->scan, SCAN_IO, (int)-got);
    if (got < 48 || head[8] > 3)
        return UINT64_MAX;
    bool old = head[8] < 2;
    file->offsets = old ? head[13] : head[9];
    file->lengths = old ? head[14] : head[10];
    unsigned o = file->offsets, addresses = old ? (head[8] == 1 ? 28 : 24) : 12;
    bool sized = (o == 2 || o == 4 || o == 8) && (file->lengths == 2 || file->lengths == 4 || file->lengths == 8);
    if (!sized || (size_t)got < addresses + (old ? 6 : 4) * o)
        return UINT64_MAX;
    file->base = hdf5_number(head + addresses, o);
    /* Versions 0 and 1: base, free space, end, driver, and an entry that begins with a name. Later: base, extension,
     * end. */
    uint64_t root = hdf5_number(head + addresses + (old ? 5 : 3) * o, o);
    /* H5Fsuper.c: a file that was put behind other bytes keeps its old base, and the place where it is found counts. */
    if (file->base != at)
        file->base = at;
    return hdf5_defined(file, root) ? root : UINT64_MAX;
}

static void verdict_say(struct hdf5 *file)
{
    struct scan *scan = file->scan;
    if (scan->stopped || !(file->keras || scan->model))
        return;
    if (file->limited)
        scan_opaque(scan, hdf5_format(file), "hdf5-size", 0, "more objects than are inspected");
    if (file->damaged)
        scan_malformed(scan, hdf5_format(file), "hdf5-damaged", 0, "not all of the file's structure makes sense");
}

static bool hdf5_run(struct scan *scan, const struct source *source)
{
    struct hdf5 file = {.scan = scan, .source = source};
    uint64_t at = 0, root;
    ssize_t got;
    file.queue = arena_take(scan->arena, LIMIT_HDF5_OBJECTS * sizeof *file.queue);
    file.seen = arena_take(scan->arena, SEEN_SLOTS * sizeof *file.seen);
    /* Last, so that what is taken and released for each object shares its block. */
    unsigned char *head = arena_take(scan->arena, SCAN_HEAD);
    file.pages = arena_take(scan->arena, HDF5_PAGES * sizeof *file.pages);
    for (size_t i = 0; file.pages && i < HDF5_PAGES; i++)
        file.pages[i].start = UINT64_MAX;
    if (!head || !file.queue || !file.seen || !file.pages) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    got = source_read(source, head, SCAN_HEAD, 0);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    if (got < 0 || !signature_find(head, (size_t)got, &at))
        return false;
    root = superblock_read(&file, at);
    if (root == UINT64_MAX) {
        file.damaged = true;
    } else {
        file.recognising = true;
        header_read(&file, root);
        file.recognising = false;
        file.keras |= file.root_layers && file.root_vars;
        hdf5_enqueue(&file, root);
    }
    scan_is(scan, hdf5_format(&file));
    while (file.queue_length && hdf5_step(&file))
        header_read(&file, file.queue[--file.queue_length]);
    verdict_say(&file);
    return true;
}

const struct format format_hdf5 = {"hdf5", hdf5_bid, hdf5_run};
