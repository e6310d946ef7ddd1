/* HDF5, shared by the files that read it: hdf5.c (the format and its object headers), hdf5_message.c (what the messages
 * in them mean), hdf5_tree.c (the structures in which groups and attributes are kept).
 *
 * Facts: the HDF5 File Format Specification, version 3; where it is silent, the HDF5 library's H5B2, H5HF and H5D
 * layers. */
#ifndef GUARD_HDF5_H
#define GUARD_HDF5_H

#include "format.h"

/* A piece of the file that is kept. */
struct hdf5_page {
    uint64_t start; /* in the source; all ones: none */
    size_t length;  /* short only at the end */
    unsigned char bytes[4096];
};
#define HDF5_PAGES 16u

struct hdf5 {
    struct scan *scan;
    const struct source *source;
    uint64_t base;               /* addresses count from here */
    unsigned offsets, lengths;   /* bytes of an address, and of a length */
    bool keras;                  /* a Keras model or its weights: then what cannot be read must be said */
    bool recognising;            /* the root is looked at for the first time: nothing is reported or followed */
    bool root_layers, root_vars; /* links of the root by which Keras' weights are known */
    bool damaged;                /* something could not be made sense of */
    bool limited;                /* a limit was reached */
    uint64_t steps;              /* structures read so far */
    uint64_t *queue;             /* addresses of object headers to visit */
    size_t queue_length;
    uint64_t *seen;              /* set of addresses that were in the queue */
    size_t seen_count;
    struct hdf5_page *pages;     /* what was read lately: structures lie close together and are small */
};

/* A number of `size` (1 to 8) bytes. */
static inline uint64_t hdf5_number(const unsigned char *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

/* "Undefined address": all ones. */
static inline bool hdf5_defined(const struct hdf5 *file, uint64_t address)
{
    return address != (file->offsets == 8 ? UINT64_MAX : (1ull << 8 * file->offsets) - 1);
}

/* Reads exactly `length` bytes at `address`. False: they are not there; then file->damaged, unless the
 * source failed. */
bool hdf5_read(struct hdf5 *file, uint64_t address, void *buffer, size_t length);

/* Counts one more structure; false when there are too many of them (file->limited) or the scan has stopped. */
bool hdf5_step(struct hdf5 *file);

/* "keras-h5" or "hdf5". */
const char *hdf5_format(const struct hdf5 *file);

/* What is done with an encoded message; it lies at `address`. */
typedef void hdf5_message(struct hdf5 *file, const unsigned char *message, size_t length, uint64_t address);
hdf5_message hdf5_link_read, hdf5_attribute_read;
/* A dataset's external files. */
hdf5_message hdf5_external_read;
/* How a dataset is laid out: virtual ones are made from others. */
void hdf5_layout_read(struct hdf5 *file, const unsigned char *message, size_t length);

/* Puts an object header in the queue, unless it was there before. */
void hdf5_enqueue(struct hdf5 *file, uint64_t address);

/* A link that leads to `address` in this file. */
void hdf5_link_seen(struct hdf5 *file, const char *name, size_t length, uint64_t address);

/* Old groups: a B-tree (version 1) of symbol nodes, their names in a local heap. */
void hdf5_symbols_walk(struct hdf5 *file, uint64_t tree, uint64_t heap);

/* New groups and many attributes: messages in a fractal heap, indexed by a B-tree (version 2). */
void hdf5_dense_walk(struct hdf5 *file, uint64_t heap, uint64_t index, hdf5_message *use);

/* A text in a local heap, cut at `size` and NUL-terminated. */
bool hdf5_heap_text(struct hdf5 *file, uint64_t heap, uint64_t offset, char *text, size_t size);

/* Where object `index` of a global heap collection lies. False: there is none. */
bool hdf5_global_find(struct hdf5 *file, uint64_t collection, uint32_t index, uint64_t *address, uint64_t *length);

#endif
