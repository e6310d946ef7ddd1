/* Hashes of files that were hashed before, for file_hash.c: one small file each, in a folder that is the
 * user's alone. */
#ifndef GUARD_HASH_CACHE_H
#define GUARD_HASH_CACHE_H

#include "digest.h"
#include "verdicts.h"

struct known_hash {
    unsigned char sha256[DIGEST_SIZE];
    unsigned char judged[SEAL_DIGEST]; /* seal.chain; zeros: nothing was judged */
};

/* What is known of the file behind `fd`; false: nothing. */
bool hash_cache_find(int fd, const struct verdict_identity *identity, struct known_hash *known);

/* Remembers, if there is a folder for it; makes the folder where its parent is there. */
void hash_cache_keep(int fd, const struct verdict_identity *identity, const struct known_hash *known);

#endif
