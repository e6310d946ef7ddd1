#include "seal.h"

#include "digest.h"
#include "raw.h"
#include "scratch.h"

#include <errno.h>
#include <string.h>

/* Blocks read at a time through the bounce buffer. */
#define SEAL_BOUNCE (16 * SEAL_BLOCK)

struct seal_block {
    uint64_t number; /* plus 1; 0: free */
    unsigned char digest[SEAL_DIGEST];
};

static void digest_block(const unsigned char *bytes, size_t length, unsigned char digest[SEAL_DIGEST])
{
    unsigned char whole[DIGEST_SIZE];
    digest_sha256(bytes, length, whole);
    memcpy(digest, whole, SEAL_DIGEST);
}

/* The entry of block `number`, or the free one where it belongs. The table is never full. */
static struct seal_block *find_block(struct seal_block *blocks, uint32_t capacity, uint64_t number)
{
    uint32_t at = (uint32_t)(number * 0x9E3779B97F4A7C15ull >> 32) & (capacity - 1);
    while (blocks[at].number && blocks[at].number != number + 1)
        at = (at + 1) & (capacity - 1);
    return &blocks[at];
}

static bool grow(struct seal *seal)
{
    uint32_t capacity = seal->capacity ? seal->capacity * 2 : 256;
    struct seal_block *blocks = capacity ? raw_take(NULL, capacity * sizeof *blocks) : NULL;
    if (!blocks)
        return false;
    for (uint32_t i = 0; i < seal->capacity; i++)
        if (seal->blocks[i].number)
            *find_block(blocks, capacity, seal->blocks[i].number - 1) = seal->blocks[i];
    if (seal->blocks)
        raw_give(NULL, seal->blocks, seal->capacity * sizeof *blocks);
    seal->blocks = blocks;
    seal->capacity = capacity;
    return true;
}

static void seal_block(struct seal *seal, uint64_t number, const unsigned char *bytes, size_t length)
{
    if (seal->used * 2 >= seal->capacity && !grow(seal)) {
        seal->incomplete = true;
        return;
    }
    unsigned char digest[SEAL_DIGEST];
    digest_block(bytes, length, digest);
    struct seal_block *block = find_block(seal->blocks, seal->capacity, number);
    if (block->number) {
        seal->unstable |= memcmp(block->digest, digest, SEAL_DIGEST) != 0;
        return;
    }
    block->number = number + 1;
    memcpy(block->digest, digest, SEAL_DIGEST);
    seal->used++;
    unsigned char link[SEAL_DIGEST + sizeof number + SEAL_DIGEST];
    memcpy(link, seal->chain, SEAL_DIGEST);
    memcpy(link + SEAL_DIGEST, &number, sizeof number);
    memcpy(link + SEAL_DIGEST + sizeof number, digest, SEAL_DIGEST);
    digest_block(link, sizeof link, seal->chain);
}

/* Reads until `length` bytes are there, the end, or an error. */
static long read_fully(int fd, unsigned char *buffer, size_t length, uint64_t offset)
{
    size_t done = 0;
    while (done < length) {
        long got = raw_pread(fd, buffer + done, length - done, offset + done);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (long)done;
}

/* Is the block at `start` still `length` bytes long? Reads it. With O_DIRECT nothing can be read behind a short end. */
static bool read_block(int fd, unsigned char *block, size_t length, uint64_t start)
{
    size_t done = 0;
    while (done < length) {
        long got = raw_pread(fd, block + done, SEAL_BLOCK - done, start + done);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return done == length;
}

static ssize_t read_plain(void *context, void *buffer, size_t length, uint64_t offset)
{
    return read_fully(((struct seal_source *)context)->fd, buffer, length, offset);
}

static ssize_t read_sealing(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct seal_source *reading = context;
    struct seal *seal = reading->seal;
    size_t done = 0;
    if (offset >= seal->size)
        return 0;
    if (length > seal->size - offset)
        length = (size_t)(seal->size - offset);
    while (done < length) {
        uint64_t start = (offset + done) & ~(uint64_t)(SEAL_BLOCK - 1);
        size_t skip = (size_t)(offset + done - start);
        uint64_t left = seal->size - start;
        size_t want = (skip + (length - done) + SEAL_BLOCK - 1) & ~(size_t)(SEAL_BLOCK - 1);
        if (want > SEAL_BOUNCE)
            want = SEAL_BOUNCE;
        if (want > left)
            want = (size_t)left;
        long got = read_fully(reading->fd, reading->bounce, want, start);
        if (got < 0)
            return got;
        if ((size_t)got < want)
            seal->unstable = true; /* shorter than fstat said a moment ago */
        for (size_t at = 0; at < (size_t)got; at += SEAL_BLOCK) {
            size_t part = (size_t)got - at < SEAL_BLOCK ? (size_t)got - at : SEAL_BLOCK;
            seal_block(seal, (start + at) / SEAL_BLOCK, reading->bounce + at, part);
        }
        if ((size_t)got <= skip)
            break;
        size_t use = (size_t)got - skip < length - done ? (size_t)got - skip : length - done;
        memcpy((unsigned char *)buffer + done, reading->bounce + skip, use);
        done += use;
        if ((size_t)got < want)
            break;
    }
    return (ssize_t)done;
}

bool seal_source_open(struct seal_source *reading, struct source *source, int fd, uint64_t size, struct seal *seal)
{
    *reading = (struct seal_source){.fd = fd, .seal = seal};
    *source = (struct source){.pread = seal ? read_sealing : read_plain, .context = reading, .size = size};
    if (!seal)
        return true;
    seal->size = size;
    reading->bounce = scratch_take_partly(SEAL_BOUNCE, 0);
    return reading->bounce != NULL;
}

void seal_source_close(struct seal_source *reading)
{
    if (reading->bounce)
        scratch_give(NULL, reading->bounce, SEAL_BOUNCE);
    reading->bounce = NULL;
}

/* Compares one judged block, of which [from, to) within the block is at `bytes`. */
static bool block_holds(const struct seal *seal, int fd, const struct seal_block *block, const unsigned char *bytes,
                        size_t from, size_t to)
{
    unsigned char digest[SEAL_DIGEST];
    uint64_t start = (block->number - 1) * SEAL_BLOCK;
    size_t whole = seal->size - start < SEAL_BLOCK ? (size_t)(seal->size - start) : SEAL_BLOCK;
    if (from == 0 && to == whole) {
        digest_block(bytes, whole, digest);
        return !memcmp(digest, block->digest, SEAL_DIGEST);
    }
    /* Whole pages, because `fd` may be open with O_DIRECT. */
    unsigned char *copy = scratch_take_any(NULL, SEAL_BLOCK);
    bool holds = copy && to <= whole && read_block(fd, copy, whole, start);
    if (holds) {
        digest_block(copy, whole, digest);
        holds = !memcmp(digest, block->digest, SEAL_DIGEST) && (!bytes || !memcmp(bytes, copy + from, to - from));
    }
    if (copy)
        scratch_give(NULL, copy, SEAL_BLOCK);
    return holds;
}

bool seal_holds(const struct seal *seal, int fd, const void *bytes, size_t length, uint64_t offset)
{
    for (size_t done = 0; done < length;) {
        uint64_t number = (offset + done) / SEAL_BLOCK;
        size_t from = (size_t)((offset + done) % SEAL_BLOCK);
        size_t part = SEAL_BLOCK - from < length - done ? SEAL_BLOCK - from : length - done;
        const struct seal_block *block = seal->capacity ? find_block(seal->blocks, seal->capacity, number) : NULL;
        if (block && block->number &&
            !block_holds(seal, fd, block, (const unsigned char *)bytes + done, from, from + part))
            return false;
        done += part;
    }
    return true;
}

bool seal_holds_file(const struct seal *seal, int fd, uint64_t offset, uint64_t length)
{
    uint64_t end = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
    for (uint32_t i = 0; i < seal->capacity; i++) {
        const struct seal_block *block = &seal->blocks[i];
        uint64_t start = (block->number - 1) * SEAL_BLOCK;
        if (block->number && start < end && start + SEAL_BLOCK > offset && !block_holds(seal, fd, block, NULL, 0, 0))
            return false;
    }
    return true;
}

void seal_free(struct seal *seal)
{
    if (seal->blocks)
        raw_give(NULL, seal->blocks, seal->capacity * sizeof *seal->blocks);
    *seal = (struct seal){0};
}
