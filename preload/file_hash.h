/* The SHA-256 of a whole file, hashed once. */
#ifndef GUARD_FILE_HASH_H
#define GUARD_FILE_HASH_H

#include "digest.h"
#include "seal.h"

#include <sys/stat.h>

/* Of the file behind `fd`, as `status` describes it. With `seal`, the blocks that were judged are also the ones hashed.
 *
 * What was hashed before is remembered by the file's identity (device, inode, size, both times), in
 * $XDG_CACHE_HOME/guard/hashes or ~/.cache/guard/hashes, which must be the user's and closed to all others; without
 * such a folder nothing is remembered. Not remembered are files that verdict_may_keep() excludes. A remembered hash
 * comes with the digest of the blocks that were judged then: it holds only if the blocks of `seal` are those, so of
 * bytes that carry code nothing is taken on trust.
 *
 * HASH_CHANGED: it changed meanwhile. Reads by pread into a bounded buffer, holds no lock, moves no position, allocates
 * by scratch_take(). Fit for hooks. */
enum hash_answer { HASH_DONE, HASH_CHANGED, HASH_FAILED };
enum hash_answer file_hash(int fd, const struct stat *status, const struct seal *seal, char hex[DIGEST_HEX]);

/* For a struct subject whose effect is the file behind the descriptor at `context`, perhaps one that was opened by
 * O_PATH: its hash, where a rule or a record asks for it. */
bool file_hash_asked(void *context, char hex[DIGEST_HEX]);

#endif
