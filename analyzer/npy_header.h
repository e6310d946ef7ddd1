/* The dict literal in a .npy header. */
#ifndef GUARD_NPY_HEADER_H
#define GUARD_NPY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum npy_elements {
    NPY_PLAIN,   /* certainly no Python objects */
    NPY_UNSURE,  /* a type string that numpy may read either way */
    NPY_OBJECTS  /* "O" */
};

struct npy_header {
    enum npy_elements elements;
    bool sized;     /* the size of the data is known */
    uint64_t bytes; /* and is this */
};

/* Parses `length` bytes of header. Returns NULL, or what is wrong: anything that numpy itself does not write, although
 * ast.literal_eval, which numpy reads with, would accept more. `header` is filled in only on success. */
const char *npy_header_parse(const unsigned char *text, size_t length, struct npy_header *header);

#endif
