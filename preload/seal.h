/* What was judged is what is read: digests of every block that the analyzer looked at.
 *
 * Blocks that carry no code (tensors) were never read and have no digest; they are nobody's business. */
#ifndef GUARD_SEAL_H
#define GUARD_SEAL_H

#include "../analyzer/source.h"

#include <stdbool.h>
#include <stdint.h>

/* 128 bits of SHA-256: the file's writer may be the attacker, so a checksum would not do. */
#define SEAL_DIGEST 16
#define SEAL_BLOCK 4096u /* bytes: a page, the unit in which a file can be torn */

/* Digests by block number: an open-addressed table in mappings of its own. */
struct seal {
    struct seal_block *blocks;
    uint32_t capacity, used;
    uint64_t size;   /* of the file when it was judged, bytes */
    bool unstable;   /* one block had two contents while it was judged */
    bool incomplete; /* no memory for a digest */
    unsigned char chain[SEAL_DIGEST]; /* over all blocks in the order in which they were first read: equal for equal
                                         bytes that were judged alike */
};

/* A source over a descriptor that seals what is read through it. `seal` NULL: only reads. Uses pread by raw system
 * calls: moves no position, keeps errno. The bounce buffer is a mapping; seal_source_close gives it back. */
struct seal_source {
    int fd;
    struct seal *seal;
    unsigned char *bounce;
};
bool seal_source_open(struct seal_source *reading, struct source *source, int fd, uint64_t size, struct seal *seal);
void seal_source_close(struct seal_source *reading);

/* Are `length` bytes at `bytes`, read from `offset` of `fd`, what was judged? Bytes of blocks that were not judged are
 * not looked at. Blocks covered in part are completed by pread: the copy in hand is digested and compared with `bytes`,
 * so that no later change of the file matters. */
bool seal_holds(const struct seal *seal, int fd, const void *bytes, size_t length, uint64_t offset);

/* Do the judged blocks within [offset, offset+length) of `fd` still read the same? */
bool seal_holds_file(const struct seal *seal, int fd, uint64_t offset, uint64_t length);

void seal_free(struct seal *seal);

#endif
