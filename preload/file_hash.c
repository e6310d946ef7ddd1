#define _GNU_SOURCE
#include "file_hash.h"

#include "decimal.h"
#include "hash_cache.h"
#include "raw.h"
#include "scratch.h"

#include <errno.h>
#include <string.h>

/* Bytes read at a time: whole blocks, and few enough to stay in the second-level cache. */
#define HASH_BUFFER (64 * SEAL_BLOCK)

/* Hashes what there is. False: it cannot be read, or a judged block is another one now (`*changed`). */
static bool hash_bytes(int fd, uint64_t size, const struct seal *seal, unsigned char *buffer, SHA256_CTX *context,
                       bool *changed)
{
    for (uint64_t at = 0; at < size;) {
        size_t want = size - at < HASH_BUFFER ? (size_t)(size - at) : HASH_BUFFER;
        size_t got = 0;
        while (got < want) {
            long part = raw_pread(fd, buffer + got, want - got, at + got);
            if (part == -EINTR)
                continue;
            *changed |= part == 0;
            if (part <= 0)
                return false;
            got += (size_t)part;
        }
        if (seal && !seal_holds(seal, fd, buffer, got, at)) {
            *changed = true;
            return false;
        }
        SHA256_Update(context, buffer, got);
        at += got;
    }
    return true;
}

static enum hash_answer hash_afresh(int fd, const struct stat *status, const struct seal *seal,
                                    struct known_hash *known)
{
    unsigned char *buffer = scratch_take_any(NULL, HASH_BUFFER);
    struct verdict_identity before = verdict_identity(status), after;
    struct stat now;
    SHA256_CTX context;
    bool changed = false;
    if (!buffer)
        return HASH_FAILED;
    SHA256_Init(&context);
    bool whole = hash_bytes(fd, before.size, seal, buffer, &context, &changed);
    scratch_give(NULL, buffer, HASH_BUFFER);
    SHA256_Final(known->sha256, &context);
    if (!whole)
        return changed ? HASH_CHANGED : HASH_FAILED;
    if (raw_fstat(fd, &now) < 0)
        return HASH_FAILED;
    after = verdict_identity(&now);
    return memcmp(&before, &after, sizeof before) == 0 ? HASH_DONE : HASH_CHANGED;
}

enum hash_answer file_hash(int fd, const struct stat *status, const struct seal *seal, char hex[DIGEST_HEX])
{
    struct verdict_identity identity = verdict_identity(status);
    struct known_hash known;
    bool keep = verdict_may_keep(fd, status, false);
    if (keep && hash_cache_find(fd, &identity, &known) &&
        (!seal || memcmp(known.judged, seal->chain, sizeof known.judged) == 0)) {
        digest_write(known.sha256, hex);
        return HASH_DONE;
    }
    memset(&known, 0, sizeof known);
    enum hash_answer answer = hash_afresh(fd, status, seal, &known);
    if (answer != HASH_DONE)
        return answer;
    digest_write(known.sha256, hex);
    if (seal)
        memcpy(known.judged, seal->chain, sizeof known.judged);
    if (keep)
        hash_cache_keep(fd, &identity, &known);
    return HASH_DONE;
}

bool file_hash_asked(void *context, char hex[DIGEST_HEX])
{
    char link[DESCRIPTOR_LINK_SIZE];
    struct stat status;
    const char *path = descriptor_link(*(const int *)context, link);
    long fd = raw_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool hashed = raw_fstat((int)fd, &status) == 0 && S_ISREG(status.st_mode) &&
                  file_hash((int)fd, &status, NULL, hex) == HASH_DONE;
    raw_close((int)fd);
    return hashed;
}
