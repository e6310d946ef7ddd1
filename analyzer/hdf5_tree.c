#include "hdf5.h"

#include <string.h>

/* --- Groups as they were first ------------------------------------------------------------------------------------ */

bool hdf5_heap_text(struct hdf5 *file, uint64_t heap, uint64_t offset, char *text, size_t size)
{
    unsigned char header[8 + 3 * 8];
    size_t length = 8 + 2 * (size_t)file->lengths + file->offsets;
    if (!hdf5_read(file, heap, header, length))
        return false;
    uint64_t segment_length = hdf5_number(header + 8, file->lengths);
    uint64_t segment = hdf5_number(header + 8 + 2 * file->lengths, file->offsets);
    if (memcmp(header, "HEAP", 4) != 0 || offset >= segment_length || segment > UINT64_MAX - segment_length) {
        file->damaged = true;
        return false;
    }
    size_t kept = segment_length - offset < size - 1 ? (size_t)(segment_length - offset) : size - 1;
    if (!hdf5_read(file, segment + offset, text, kept))
        return false;
    text[kept] = '\0';
    return true;
}

static void symbol_node_read(struct hdf5 *file, uint64_t address, uint64_t heap)
{
    unsigned char header[8], entry[2 * 8 + 24];
    size_t size = 2 * (size_t)file->offsets + 24;
    if (!hdf5_read(file, address, header, sizeof header))
        return;
    if (memcmp(header, "SNOD", 4) != 0) {
        file->damaged = true;
        return;
    }
    unsigned count = (unsigned)hdf5_number(header + 6, 2);
    for (unsigned i = 0; i < count && hdf5_step(file); i++) {
        char name[64];
        if (!hdf5_read(file, address + sizeof header + i * size, entry, size))
            return;
        /* Symbolic links lead to names in this file. */
        if (hdf5_number(entry + 2 * file->offsets, 4) == 2)
            continue;
        if (file->recognising) {
            if (hdf5_heap_text(file, heap, hdf5_number(entry, file->offsets), name, sizeof name))
                hdf5_link_seen(file, name, strlen(name), hdf5_number(entry + file->offsets, file->offsets));
        } else {
            hdf5_enqueue(file, hdf5_number(entry + file->offsets, file->offsets));
        }
    }
}

static void symbol_tree_walk(struct hdf5 *file, uint64_t address, uint64_t heap, unsigned depth)
{
    unsigned char header[8], child[8];
    uint64_t first = address + 8 + 2 * (uint64_t)file->offsets + file->lengths;
    if (!hdf5_step(file) || !hdf5_read(file, address, header, sizeof header))
        return;
    if (memcmp(header, "SNOD", 4) == 0) {
        symbol_node_read(file, address, heap);
        return;
    }
    if (memcmp(header, "TREE", 4) != 0 || header[4] != 0 || depth == LIMIT_HDF5_DEPTH) {
        file->damaged = true;
        return;
    }
    unsigned count = (unsigned)hdf5_number(header + 6, 2);
    for (unsigned i = 0; i < count && !file->limited && !file->scan->stopped; i++) {
        if (!hdf5_read(file, first + i * (uint64_t)(file->lengths + file->offsets), child, file->offsets))
            return;
        symbol_tree_walk(file, hdf5_number(child, file->offsets), heap, depth + 1);
    }
}

void hdf5_symbols_walk(struct hdf5 *file, uint64_t tree, uint64_t heap)
{
    if (hdf5_defined(file, tree))
        symbol_tree_walk(file, tree, heap, 0);
}

/* --- The global heap ---------------------------------------------------------------------------------------------- */

bool hdf5_global_find(struct hdf5 *file, uint64_t collection, uint32_t index, uint64_t *address, uint64_t *length)
{
    unsigned char header[8 + 8];
    if (!hdf5_read(file, collection, header, 8 + (size_t)file->lengths))
        return false;
    uint64_t size = hdf5_number(header + 8, file->lengths), at = 8 + file->lengths;
    if (memcmp(header, "GCOL", 4) != 0 || size > UINT64_MAX - collection) {
        file->damaged = true;
        return false;
    }
    while (at < size && size - at >= 8u + file->lengths && hdf5_step(file)) {
        if (!hdf5_read(file, collection + at, header, 8 + (size_t)file->lengths))
            return false;
        *length = hdf5_number(header + 8, file->lengths);
        at += 8 + file->lengths;
        if (hdf5_number(header, 2) == 0 || *length > size - at)
            break;
        *address = collection + at;
        if (hdf5_number(header, 2) == index)
            return true;
        at += (*length + 7) & ~(uint64_t)7;
    }
    file->damaged = true;
    return false;
}

/* --- The fractal heap --------------------------------------------------------------------------------------------- */

struct heap {
    unsigned id_length;
    unsigned offset_bytes, length_bytes; /* of the two numbers in an id */
    unsigned width;                      /* blocks in a row */
    uint64_t block;                      /* bytes of a block in the first row */
    unsigned direct_rows;                /* rows of blocks that hold objects; below them are blocks of blocks */
    uint64_t root;
    unsigned root_rows;                  /* 0: the root is itself a block that holds objects */
    uint64_t huge_index;
};

/* Position of the highest bit; 0 for 0. */
static unsigned log2_floor(uint64_t value)
{
    unsigned bits = 0;
    while (value >>= 1)
        bits++;
    return bits;
}

static unsigned bytes_for(uint64_t value)
{
    return log2_floor(value) / 8 + 1;
}

static bool heap_open(struct hdf5 *file, uint64_t address, struct heap *heap)
{
    unsigned char bytes[22 + 12 * 8 + 3 * 8];
    unsigned o = file->offsets, l = file->lengths;
    size_t table = 14 + l + o + l + o + 8 * (size_t)l; /* behind the statistics */
    if (!hdf5_read(file, address, bytes, table + 2 + 2 * l + 2 + 2 + o + 2))
        return false;
    if (memcmp(bytes, "FRHP", 4) != 0) {
        file->damaged = true;
        return false;
    }
    unsigned filters = (unsigned)hdf5_number(bytes + 7, 2);
    uint64_t managed_max = hdf5_number(bytes + 10, 4);
    const unsigned char *at = bytes + table;
    heap->id_length = (unsigned)hdf5_number(bytes + 5, 2);
    heap->huge_index = hdf5_number(bytes + 14 + l, o);
    heap->width = (unsigned)hdf5_number(at, 2);
    heap->block = hdf5_number(at + 2, l);
    uint64_t direct_max = hdf5_number(at + 2 + l, l);
    unsigned heap_bits = (unsigned)hdf5_number(at + 2 + 2 * l, 2);
    heap->root = hdf5_number(at + 6 + 2 * l, o);
    heap->root_rows = (unsigned)hdf5_number(at + 6 + 2 * l + o, 2);
    heap->offset_bytes = (heap_bits + 7) / 8;
    heap->length_bytes = (log2_floor(direct_max) + 7) / 8;
    if (bytes_for(managed_max) < heap->length_bytes)
        heap->length_bytes = bytes_for(managed_max);
    /* Sizes are powers of two. A heap can be compressed as a whole, which h5py has no way to ask for. */
    if (filters || heap_bits == 0 || heap_bits > 64 || heap->block == 0 || heap->block & (heap->block - 1) ||
        direct_max < heap->block || direct_max & (direct_max - 1) || heap->width == 0 ||
        heap->width & (heap->width - 1) || heap->length_bytes > 8 ||
        log2_floor(heap->block) + log2_floor(heap->width) >= 64) {
        file->damaged = true;
        return false;
    }
    heap->direct_rows = log2_floor(direct_max) - log2_floor(heap->block) + 2;
    return true;
}

/* Finds the address of byte `offset` of the heap's space, which doubles from row to row. */
static bool heap_locate(struct hdf5 *file, const struct heap *heap, uint64_t offset, uint64_t *address)
{
    uint64_t block = heap->root, row_size = heap->block * heap->width;
    unsigned rows = heap->root_rows;
    if (rows == 0) {
        *address = block + offset;
        return offset < heap->block;
    }
    for (unsigned depth = 0; depth < LIMIT_HDF5_DEPTH && hdf5_step(file); depth++) {
        unsigned char pointer[8], magic[4];
        unsigned row = offset < row_size ? 0 : log2_floor(offset / row_size) + 1;
        uint64_t size = row < 2 ? heap->block : heap->block << (row - 1);
        uint64_t start = row == 0 ? 0 : row_size << (row - 1);
        uint64_t column = (offset - start) / size;
        if (row >= rows || !hdf5_read(file, block, magic, sizeof magic) || memcmp(magic, "FHIB", 4) != 0)
            return false;
        if (!hdf5_read(file,
                       block + 5 + file->offsets + heap->offset_bytes +
                           (row * (uint64_t)heap->width + column) * file->offsets,
                       pointer, file->offsets))
            return false;
        block = hdf5_number(pointer, file->offsets);
        offset -= start + column * size;
        if (row < heap->direct_rows) {
            *address = block + offset;
            return hdf5_defined(file, block);
        }
        if (size < row_size)
            return false;
        rows = log2_floor(size) - log2_floor(row_size) + 1;
    }
    return false;
}

static void object_use(struct hdf5 *file, uint64_t address, uint64_t length, hdf5_message *use)
{
    struct arena_mark mark = arena_mark(file->scan->arena);
    size_t kept = length < LIMIT_HDF5_MESSAGE ? (size_t)length : LIMIT_HDF5_MESSAGE;
    unsigned char *bytes = arena_take(file->scan->arena, kept + 1);
    if (!bytes)
        scan_failed(file->scan, SCAN_MEMORY, 0);
    else if (hdf5_read(file, address, bytes, kept))
        use(file, bytes, kept, address);
    arena_release(file->scan->arena, mark);
}

/* --- B-trees of version 2 ----------------------------------------------------------------------------------------- */

struct tree {
    unsigned type, record;                         /* bytes of a record */
    unsigned depth;
    unsigned count_bytes;                          /* of the number of records of a child */
    unsigned total_bytes[LIMIT_HDF5_DEPTH + 1];    /* of that of all below it */
    const struct heap *heap;
    hdf5_message *use;
};

enum { TREE_HUGE = 1, TREE_HUGE_FILTERED = 2, TREE_LINKS = 5, TREE_ATTRIBUTES = 8 };

/* One record: where a message lies, in the heap or as a "huge" object beside it. */
static void record_use(struct hdf5 *file, const struct tree *tree, const unsigned char *record)
{
    const struct heap *heap = tree->heap;
    uint64_t address;
    if (tree->type == TREE_HUGE) {
        object_use(file, hdf5_number(record, file->offsets), hdf5_number(record + file->offsets, file->lengths),
                   tree->use);
        return;
    }
    const unsigned char *id = record + (tree->type == TREE_LINKS ? 4 : 0);
    switch (id[0] >> 4 & 3) {
    case 0: /* managed */
        if (heap_locate(file, heap, hdf5_number(id + 1, heap->offset_bytes), &address))
            object_use(file, address, hdf5_number(id + 1 + heap->offset_bytes, heap->length_bytes), tree->use);
        else
            file->damaged = true;
        break;
    case 1: /* huge: all of them have their turn in their own tree */
        break;
    default: /* tiny: within the id, too short for what is of interest, but a link to an object */
        tree->use(file, id + 1, heap->id_length - 1, 0);
    }
}

static void tree_walk(struct hdf5 *file, const struct tree *tree, uint64_t address, unsigned depth, uint64_t count)
{
    static const char *const magics[] = {"BTLF", "BTIN"};
    unsigned char bytes[64];
    uint64_t pointers = address + 6 + count * tree->record;
    unsigned size = depth ? file->offsets + tree->count_bytes + tree->total_bytes[depth - 1] : 0;
    if (!hdf5_step(file) || !hdf5_read(file, address, bytes, 6))
        return;
    if (memcmp(bytes, magics[depth > 0], 4) != 0 || bytes[5] != tree->type) {
        file->damaged = true;
        return;
    }
    for (uint64_t i = 0; i < count && hdf5_step(file); i++) {
        if (!hdf5_read(file, address + 6 + i * tree->record, bytes, tree->record))
            return;
        record_use(file, tree, bytes);
    }
    for (uint64_t i = 0; depth && i <= count && !file->limited && !file->scan->stopped; i++) {
        if (!hdf5_read(file, pointers + i * size, bytes, size))
            return;
        tree_walk(file, tree, hdf5_number(bytes, file->offsets), depth - 1,
                  hdf5_number(bytes + file->offsets, tree->count_bytes));
    }
}

static void tree_open_walk(struct hdf5 *file, uint64_t address, const struct heap *heap, hdf5_message *use)
{
    unsigned char bytes[16 + 8 + 2];
    struct tree tree = {.heap = heap, .use = use};
    if (!hdf5_read(file, address, bytes, 16 + (size_t)file->offsets + 2))
        return;
    tree.type = bytes[5];
    uint64_t node = hdf5_number(bytes + 6, 4);
    tree.record = (unsigned)hdf5_number(bytes + 10, 2);
    tree.depth = (unsigned)hdf5_number(bytes + 12, 2);
    unsigned least = tree.type == TREE_HUGE ? file->offsets + 2 * file->lengths
                     : tree.type == TREE_LINKS ? 4 + heap->id_length : heap->id_length + 9;
    bool known = tree.type == TREE_HUGE || tree.type == TREE_LINKS || tree.type == TREE_ATTRIBUTES;
    if (memcmp(bytes, "BTHD", 4) != 0 || !known || tree.record != least || least > 64 ||
        heap->id_length < 1 + heap->offset_bytes + heap->length_bytes || tree.depth > LIMIT_HDF5_DEPTH ||
        node < 10 + tree.record) {
        file->damaged = true;
        return;
    }
    /* H5B2hdr.c: how many records fit below decides how many bytes their number takes. */
    uint64_t fits = (node - 10) / tree.record, total = fits;
    tree.count_bytes = bytes_for(fits);
    for (unsigned level = 1; level <= tree.depth; level++) {
        unsigned pointer = file->offsets + tree.count_bytes + tree.total_bytes[level - 1];
        if (node < 10 + pointer || total > UINT32_MAX) {
            file->damaged = true;
            return;
        }
        fits = (node - 10 - pointer) / (tree.record + pointer);
        total = (fits + 1) * total + fits;
        tree.total_bytes[level] = bytes_for(total);
    }
    uint64_t root = hdf5_number(bytes + 16, file->offsets);
    if (hdf5_defined(file, root))
        tree_walk(file, &tree, root, tree.depth, hdf5_number(bytes + 16 + file->offsets, 2));
}

void hdf5_dense_walk(struct hdf5 *file, uint64_t heap_address, uint64_t index, hdf5_message *use)
{
    struct heap heap;
    if (!hdf5_defined(file, heap_address) || !hdf5_defined(file, index) || !heap_open(file, heap_address, &heap))
        return;
    tree_open_walk(file, index, &heap, use);
    if (hdf5_defined(file, heap.huge_index))
        tree_open_walk(file, heap.huge_index, &heap, use);
}
