#include "hdf5.h"

#include "keras.h"

#include <string.h>

static bool name_is(const char *name, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(name, word, length) == 0;
}

void hdf5_link_seen(struct hdf5 *file, const char *name, size_t length, uint64_t address)
{
    if (!file->recognising) {
        hdf5_enqueue(file, address);
        return;
    }
    /* keras/src/saving/saving_lib.py: what a .weights.h5 holds. */
    if (name_is(name, length, "layers") || name_is(name, length, "_layer_checkpoint_dependencies"))
        file->root_layers = true;
    if (name_is(name, length, "vars") || name_is(name, length, "optimizer"))
        file->root_vars = true;
}

static void file_report(struct hdf5 *file, const char *name, uint64_t address, const char *detail)
{
    struct effect effect = {.kind = EFFECT_READ, .name = name, .offset = file->base + address, .detail = detail};
    scan_report(file->scan, hdf5_format(file), &effect);
}

void hdf5_link_read(struct hdf5 *file, const unsigned char *message, size_t length, uint64_t address)
{
    unsigned flags, type = 0, size;
    size_t at = 2;
    if (length < 4 || message[0] != 1)
        return;
    flags = message[1];
    if (flags & 8)
        type = message[at++];
    at += flags & 4 ? 8 : 0;
    at += flags & 16 ? 1 : 0;
    size = 1u << (flags & 3);
    if (at + size > length)
        return;
    uint64_t name_length = hdf5_number(message + at, size);
    at += size;
    if (name_length > length - at)
        return;
    const char *name = (const char *)message + at;
    at += (size_t)name_length;
    if (type == 0 && length - at >= file->offsets)
        hdf5_link_seen(file, name, (size_t)name_length, hdf5_number(message + at, file->offsets));
    if (type != 64 || file->recognising || length - at < 4)
        return;
    /* External: its length, a byte of version and flags, the file's name, the object's. */
    char target[LIMIT_NAME];
    size_t kept = length - at - 3 < sizeof target - 1 ? length - at - 3 : sizeof target - 1;
    memcpy(target, message + at + 3, kept);
    target[kept] = '\0';
    file_report(file, target, address, "a link into another file");
}

void hdf5_external_read(struct hdf5 *file, const unsigned char *message, size_t length, uint64_t address)
{
    unsigned slot = 3 * file->lengths;
    if (length < 8u + file->offsets || file->recognising)
        return;
    unsigned used = (unsigned)hdf5_number(message + 6, 2);
    uint64_t heap = hdf5_number(message + 8, file->offsets);
    size_t at = 8 + file->offsets;
    for (unsigned i = 0; i < used && length - at >= slot && hdf5_step(file); i++, at += slot) {
        char name[LIMIT_NAME];
        if (hdf5_heap_text(file, heap, hdf5_number(message + at, file->lengths), name, sizeof name))
            file_report(file, name, address, "a dataset's bytes are those of another file");
    }
}

/* Moves `at` behind a dataspace selection as H5Sselect.c writes it. False when it is of no known form. */
static bool selection_skip(struct hdf5 *file, uint64_t *at)
{
    unsigned char head[16];
    if (!hdf5_read(file, *at, head, 8))
        return false;
    uint64_t type = hdf5_number(head, 4), version = hdf5_number(head + 4, 4);
    if (version == 1) { /* type, version, reserved, length */
        if (!hdf5_read(file, *at, head, 16))
            return false;
        *at += 16 + hdf5_number(head + 12, 4);
        return true;
    }
    if (type != 2 || version > 3)
        return false;
    if (!hdf5_read(file, *at, head, 14))
        return false;
    if (version == 2) { /* type, version, flags, length */
        *at += 13 + hdf5_number(head + 9, 4);
        return true;
    }
    /* type, version, flags, bytes of a number, rank; four numbers a dimension, or two a dimension and block */
    uint64_t number = head[9], rank = hdf5_number(head + 10, 4), count = 2;
    if ((number != 2 && number != 4 && number != 8) || rank > 32)
        return false;
    *at += 14;
    if (!(head[8] & 1)) {
        unsigned char blocks[8];
        if (!hdf5_read(file, *at, blocks, number))
            return false;
        count = hdf5_number(blocks, (unsigned)number);
        *at += number;
        if (count > file->source->size)
            return false;
    }
    *at += 2 * count * rank * number;
    return true;
}

/* Reads the text at `at` and moves behind its NUL. False: too long. */
static bool text_take(struct hdf5 *file, uint64_t *at, uint64_t end, char *text, size_t size)
{
    size_t want = end - *at < size ? (size_t)(end - *at) : size;
    if (*at >= end || !hdf5_read(file, *at, text, want))
        return false;
    char *zero = memchr(text, 0, want);
    if (!zero)
        return false;
    *at += (uint64_t)(zero - text) + 1;
    return true;
}

/* A virtual dataset's list under way. */
struct mapping {
    uint64_t at, end;
    bool flagged; /* entries begin with flags: since HDF5 2.0 */
    char name[LIMIT_NAME];
};
enum { MAPPING_FILE_SHARED = 1, MAPPING_DATASET_SHARED = 2, MAPPING_SAME_FILE = 4 };

/* Takes one entry, its file's name into `mapping->name`; "." is this file. False: it makes no sense. */
static bool mapping_next(struct hdf5 *file, struct mapping *mapping)
{
    char dataset[LIMIT_NAME];
    unsigned char flags = 0;
    if (mapping->flagged && (mapping->at >= mapping->end || !hdf5_read(file, mapping->at++, &flags, 1)))
        return false;
    mapping->name[0] = '.';
    mapping->name[1] = '\0';
    if (flags & MAPPING_FILE_SHARED) /* an earlier entry's, by its number */
        mapping->at += file->lengths;
    else if (!(flags & MAPPING_SAME_FILE) &&
             !text_take(file, &mapping->at, mapping->end, mapping->name, sizeof mapping->name))
        return false;
    if (flags & MAPPING_DATASET_SHARED)
        mapping->at += file->lengths;
    else if (!text_take(file, &mapping->at, mapping->end, dataset, sizeof dataset))
        return false;
    return selection_skip(file, &mapping->at) && selection_skip(file, &mapping->at) && mapping->at <= mapping->end;
}

/* H5Dvirtual.c: a list of file, dataset and two selections, in the global heap. */
static void virtual_read(struct hdf5 *file, uint64_t collection, uint32_t index)
{
    unsigned char head[9];
    char last[LIMIT_NAME] = "";
    uint64_t start, length;
    if (!hdf5_defined(file, collection) || !hdf5_global_find(file, collection, index, &start, &length) ||
        !hdf5_read(file, start, head, 1 + (size_t)file->lengths))
        return;
    struct mapping mapping = {.at = start + 1 + file->lengths, .end = start + length, .flagged = head[0] == 1};
    uint64_t count = hdf5_number(head + 1, file->lengths);
    if (head[0] > 1)
        file->damaged = true;
    for (uint64_t i = 0; head[0] <= 1 && i < count && hdf5_step(file); i++) {
        if (!mapping_next(file, &mapping)) {
            file->damaged = true;
            return;
        }
        /* One file often gives many parts in a row. */
        if (strcmp(mapping.name, ".") != 0 && strcmp(mapping.name, last) != 0)
            file_report(file, mapping.name, start, "a virtual dataset is made from another file");
        memcpy(last, mapping.name, sizeof last);
    }
}

void hdf5_layout_read(struct hdf5 *file, const unsigned char *message, size_t length)
{
    /* Versions 4 and 5, class 3. */
    if (file->recognising || length < 2u + file->offsets + 4 || message[0] < 4 || message[1] != 3)
        return;
    virtual_read(file, hdf5_number(message + 2, file->offsets), (uint32_t)hdf5_number(message + 2 + file->offsets, 4));
}

/* --- Attributes --------------------------------------------------------------------------------------------------- */

struct attribute {
    const char *name;
    size_t name_length;
    const unsigned char *type; /* encoded datatype */
    size_t type_length;
    const unsigned char *data;
    size_t data_length;
    uint64_t data_address;
};

/* Takes an attribute message apart. False: it is damaged, or of a later version. */
static bool attribute_open(const unsigned char *message, size_t length, uint64_t address, struct attribute *attribute)
{
    if (length < 9 || message[0] < 1 || message[0] > 3)
        return false;
    size_t sizes[3], padding = message[0] == 1 ? 7 : 0, at = message[0] == 3 ? 9 : 8;
    for (unsigned i = 0; i < 3; i++)
        sizes[i] = (size_t)hdf5_number(message + 2 + 2 * i, 2);
    size_t name = at, type = name + ((sizes[0] + padding) & ~padding), space = type + ((sizes[1] + padding) & ~padding),
           data = space + ((sizes[2] + padding) & ~padding);
    if (data > length)
        return false;
    *attribute = (struct attribute){(const char *)message + name, strnlen((const char *)message + name, sizes[0]),
                                    message + type, sizes[1], message + data, length - data, address + data};
    /* A datatype that is shared stands elsewhere. */
    if (message[0] > 1 && message[1] & 1)
        attribute->type_length = 0;
    return true;
}

static void text_scan(struct hdf5 *file, const struct attribute *attribute, uint64_t address, uint64_t length)
{
    struct source_slice slice = {file->source, file->base + address};
    struct source text = source_from_slice(&slice, length);
    const char *outer = file->scan->member;
    struct arena_mark mark = arena_mark(file->scan->arena);
    char name[64];
    size_t kept = attribute->name_length < sizeof name - 1 ? attribute->name_length : sizeof name - 1;
    memcpy(name, attribute->name, kept);
    name[kept] = '\0';
    if (name_is(name, kept, "model_config") || name_is(name, kept, "training_config")) {
        file->scan->member = scan_member_inside(file->scan, name);
        (void)keras_scan(file->scan, &text);
        file->scan->member = outer;
    } else if (length > 1) {
        (void)scan_nested(file->scan, &text, name);
    }
    arena_release(file->scan->arena, mark);
}

void hdf5_attribute_read(struct hdf5 *file, const unsigned char *message, size_t length, uint64_t address)
{
    static const char *const marks[] = {"model_config", "keras_version", "layer_names", "weight_names"};
    struct attribute attribute;
    if (!attribute_open(message, length, address, &attribute)) {
        file->damaged = true;
        return;
    }
    if (file->recognising) {
        for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
            if (name_is(attribute.name, attribute.name_length, marks[i]))
                file->keras = true;
        return;
    }
    if (attribute.type_length < 8) {
        file->damaged |= attribute.type_length == 0;
        return;
    }
    unsigned class = attribute.type[0] & 15;
    uint64_t size = hdf5_number(attribute.type + 4, 4);
    if ((class == 3 || class == 5) && size <= attribute.data_length) { /* fixed string, opaque */
        for (size_t i = 0, at = 0; i < LIMIT_HDF5_TEXTS && attribute.data_length - at >= size && size > 0;
             i++, at += (size_t)size)
            text_scan(file, &attribute, attribute.data_address + at, size);
        return;
    }
    if (class != 9) /* of variable length: length, collection, index */
        return;
    size_t element = 8u + file->offsets;
    for (size_t i = 0, at = 0; i < LIMIT_HDF5_TEXTS && attribute.data_length - at >= element && hdf5_step(file);
         i++, at += element) {
        const unsigned char *where = attribute.data + at;
        uint64_t text, room, wanted = hdf5_number(where, 4), collection = hdf5_number(where + 4, file->offsets);
        if (wanted == 0 || collection == 0)
            continue;
        if (hdf5_global_find(file, collection, (uint32_t)hdf5_number(where + 4 + file->offsets, 4), &text, &room))
            text_scan(file, &attribute, text, room < wanted ? room : wanted);
    }
}
