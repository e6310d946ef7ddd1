/* Could a file be in scope at all, going by its two ends? Asked of every file that is opened. */
#include "check.h"

#include "raw.h"
#include "scratch.h"

#include "../analyzer/scan.h"

#include <errno.h>

/* The two ends of a file, by which it is told whether it is a candidate; too large for a stranger's stack. Aligned, since
 * the kernel takes a microsecond longer to copy a page to an odd address. */
struct ends {
    _Alignas(64) unsigned char head[SCAN_HEAD], tail[SCAN_TAIL];
};

/* Signals interrupt reads on network and FUSE mounts. */
static long read_once(int fd, void *buffer, size_t length, uint64_t offset)
{
    long got;
    do
        got = raw_pread(fd, buffer, length, offset);
    while (got == -EINTR);
    return got;
}

static long bid_of_ends(int fd, const char *path, uint64_t size, struct ends *ends, unsigned *bid)
{
    long head_length = read_once(fd, ends->head, sizeof ends->head, 0), tail_length = 0;
    if (head_length > 0 && size > sizeof ends->head)
        tail_length = read_once(fd, ends->tail, sizeof ends->tail, size - sizeof ends->tail);
    if (head_length < 0 || tail_length < 0)
        return head_length < 0 ? head_length : tail_length;
    if (head_length == 0)
        return -ENODATA;
    const unsigned char *end = ends->tail;
    if (!tail_length) {
        tail_length = head_length < (long)sizeof ends->tail ? head_length : (long)sizeof ends->tail;
        end = ends->head + head_length - tail_length;
    }
    *bid = scan_bid(ends->head, (size_t)head_length, end, (size_t)tail_length, size);
    if (scan_named(path))
        *bid = SCAN_BID_CONTENT;
    if (*bid == SCAN_BID_CONFIG && path && !scan_config_begins(path, ends->head, (size_t)head_length))
        *bid = SCAN_BID_NONE;
    return 0;
}

/* Where there is no memory, a stack that is large enough is the last hope. */
static __attribute__((noinline)) long bid_on_stack(int fd, const char *path, uint64_t size, unsigned *bid)
{
    struct ends ends;
    return bid_of_ends(fd, path, size, &ends, bid);
}

long check_bid(int fd, const char *path, uint64_t size, unsigned *bid)
{
    struct ends *ends = scratch_take_partly(sizeof *ends, 0);
    if (!ends)
        return bid_on_stack(fd, path, size, bid);
    long failed = bid_of_ends(fd, path, size, ends, bid);
    scratch_give(NULL, ends, sizeof *ends);
    return failed;
}
