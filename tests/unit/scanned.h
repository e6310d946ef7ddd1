/* Scans bytes in memory and keeps what was said, for unit tests of formats. */
#ifndef GUARD_TESTS_SCANNED_H
#define GUARD_TESTS_SCANNED_H

#include "../../analyzer/scan.h"

struct scanned {
    struct scan_result result;
    char text[16384];    /* "kind name [format] member\n" an effect */
    char formats[256];   /* "zip torch-zip pickle" */
    uint64_t bytes_read; /* from the source */
    size_t peak;         /* of memory taken */
    size_t kept;         /* memory not given back: 0 */
};

void scan_bytes(const void *data, size_t size, struct scanned *scanned);

/* The same over `data` with `hole` zero bytes put in at `split`, which take no memory. */
void scan_hollow(const void *data, size_t size, size_t split, uint64_t hole, struct scanned *scanned);

/* Is there an effect of this kind with this name ("": any) and, unless NULL, in this member? */
bool scanned_has(const struct scanned *scanned, const char *kind, const char *name, const char *member);

/* How many effects of this kind ("": any) are there? */
unsigned scanned_count(const struct scanned *scanned, const char *kind);

/* A growing buffer to build files in. */
struct built {
    unsigned char *data;
    size_t length, room;
};
void built_add(struct built *built, const void *data, size_t length);
void built_le(struct built *built, unsigned width, uint64_t value); /* `width` bytes, little endian */
void built_text(struct built *built, const char *text);
void built_free(struct built *built);

/* `packed` receives `data` deflated; window bits as in zlib.h (-15 raw, 15 zlib, 31 gzip). */
void built_deflate(struct built *packed, const void *data, size_t length, int window_bits);

/* A pickle that calls os.system("true"); protocol 2. */
extern const unsigned char pickle_calls[];
extern const size_t pickle_calls_length;

#endif
