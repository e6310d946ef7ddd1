/* A walk over the members of a tar: ustar, GNU and pax, as CPython's tarfile reads them.
 *
 * Facts: POSIX pax(1) "ustar Interchange Format", GNU tar's manual "Basic Tar Format", CPython's Lib/tarfile.py. */
#ifndef GUARD_TAR_H
#define GUARD_TAR_H

#include "reader.h"

#define TAR_BLOCK 512u

struct tar_member {
    const char *name; /* valid until the next one is read; cut at LIMIT_NAME */
    uint64_t data, size;
};

struct tar_walk {
    struct scan *scan;
    const struct source *source;
    uint64_t offset; /* of the next header */
    uint64_t seen;
    bool damaged; /* it ended at something that is neither a header nor the end */
    char *name;
    bool name_given;  /* by a GNU or pax header in front */
    bool size_given;
    uint64_t size;
};

/* Does the header's checksum fit? Readers accept the sum over signed bytes too. */
bool tar_checksum_ok(const unsigned char header[TAR_BLOCK]);

/* False: no memory (the scan has failed). */
bool tar_walk_open(struct tar_walk *walk, struct scan *scan, const struct source *source);

/* The next member that has data or may be taken to have. Headers that describe others are read on the way. */
bool tar_walk_next(struct tar_walk *walk, struct tar_member *member);

#endif
