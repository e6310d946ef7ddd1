/* Tells texts apart, to say or record the same thing once. No defence against somebody who looks for collisions: all
 * that is lost then is a repetition. */
#ifndef GUARD_TEXT_HASH_H
#define GUARD_TEXT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* FNV-1a (64 bits), http://www.isthe.com/chongo/tech/comp/fnv. `hash`: what came before, or TEXT_HASH_START. */
#define TEXT_HASH_START 0xcbf29ce484222325u
static inline uint64_t text_hash(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}
static inline uint64_t text_hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    for (const unsigned char *at = bytes; length > 0; at++, length--)
        hash = (hash ^ *at) * 0x100000001b3u;
    return hash;
}

/* The last texts seen: a ring without locks. */
struct text_seen {
    uint64_t *hashes;
    unsigned size; /* of `hashes` */
    unsigned count;
};

/* Was `hash` seen, as far as the ring remembers? Any thread. */
static inline bool text_was_seen(const struct text_seen *seen, uint64_t hash)
{
    unsigned count = __atomic_load_n(&seen->count, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < count && i < seen->size; i++)
        if (__atomic_load_n(&seen->hashes[i], __ATOMIC_RELAXED) == hash)
            return true;
    return false;
}

static inline void text_remember(struct text_seen *seen, uint64_t hash)
{
    unsigned at = __atomic_fetch_add(&seen->count, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&seen->hashes[at % seen->size], hash, __ATOMIC_RELAXED);
}

/* Is this the first time that `hash` is seen? Remembers it. */
static inline bool text_first_seen(struct text_seen *seen, uint64_t hash)
{
    bool first = !text_was_seen(seen, hash);
    if (first)
        text_remember(seen, hash);
    return first;
}

#endif
