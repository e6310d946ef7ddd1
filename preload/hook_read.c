/* Reading. Two things happen here and at open nowhere else: a descriptor that came from elsewhere (inherited, received,
 * a memfd) is judged at its first read, and bytes of a judged model are compared with what was judged (DESIGN: a
 * verdict by file identity proves nothing, stores through a shared mapping leave every timestamp alone). */
#define _GNU_SOURCE
#include "descriptors.h"
#include "guard.h"
#include "raw.h"
#include "real.h"
#include "verdicts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* How often a file that changes while it is read is judged again. */
#define READ_TRIES 3

static ssize_t answer(long result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

static ssize_t refuse(void)
{
    errno = EACCES;
    return -1;
}

/* Before the real read. False: denied. */
static bool may_read(int fd)
{
    guard_thread.last_read_fd = fd + 1;
    return descriptor_state(fd) != DESCRIPTOR_UNKNOWN || !guard_may_judge() || guard_check_fd(fd, AT_FDCWD, NULL);
}

/* Are these bytes of a judged file the judged ones? Judges the file again when they are not. */
static bool part_holds(int fd, const void *bytes, size_t length, uint64_t offset)
{
    for (int try = 0; try < READ_TRIES; try++) {
        unsigned state = descriptor_state(fd);
        if (state < DESCRIPTOR_SEALED)
            return true;
        enum verdict_answer answered = verdict_ask((int)(state - DESCRIPTOR_SEALED), fd, bytes, length, offset);
        if (answered == VERDICT_HOLDS)
            return true;
        if (answered == VERDICT_BROKEN)
            verdict_drop((int)(state - DESCRIPTOR_SEALED));
        descriptor_set(fd, DESCRIPTOR_UNKNOWN);
        if (!guard_check_fd(fd, AT_FDCWD, NULL))
            return false;
    }
    return false;
}

/* After the real read: `got` bytes spread over `parts`, from `offset` (-1: just before the descriptor's position).
 * Denied bytes are wiped before the program can see them. */
static ssize_t was_read(int fd, ssize_t got, const struct iovec *parts, int count, int64_t offset)
{
    if (got <= 0 || descriptor_state(fd) < DESCRIPTOR_SEALED || !guard_may_judge())
        return got;
    int saved = errno;
    if (offset < 0)
        offset = raw_lseek(fd, 0, SEEK_CUR) - got;
    size_t left = (size_t)got;
    bool holds = offset >= 0;
    for (int i = 0; i < count && left && holds; i++) {
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        holds = part_holds(fd, parts[i].iov_base, part, (uint64_t)offset);
        offset += (int64_t)part;
        left -= part;
    }
    errno = saved;
    if (holds)
        return got;
    left = (size_t)got;
    for (int i = 0; i < count && left; i++) {
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        memset(parts[i].iov_base, 0, part);
        left -= part;
    }
    return refuse();
}

static ssize_t was_read_flat(int fd, ssize_t got, void *buffer, int64_t offset)
{
    struct iovec part = {buffer, got > 0 ? (size_t)got : 0};
    return was_read(fd, got, &part, 1, offset);
}

/* `real` or, before the constructor, the kernel. */
#define READ(name, parameters, call, raw, finish)               \
    ssize_t hook_##name parameters                              \
    {                                                           \
        if (!may_read(fd))                                      \
            return refuse();                                    \
        ssize_t got = real.name ? real.name call : answer(raw); \
        return finish;                                          \
    }

#define PREADV_RAW(flags) \
    raw_syscall6(SYS_preadv2, fd, (long)parts, count, (long)offset, (long)((uint64_t)offset >> 32), flags)

READ(read, (int fd, void *buffer, size_t length), (fd, buffer, length), raw_read(fd, buffer, length),
     was_read_flat(fd, got, buffer, -1))
READ(__read, (int fd, void *buffer, size_t length), (fd, buffer, length), raw_read(fd, buffer, length),
     was_read_flat(fd, got, buffer, -1))
READ(__read_chk, (int fd, void *buffer, size_t length, size_t room), (fd, buffer, length, room),
     raw_read(fd, buffer, length <= room ? length : room), was_read_flat(fd, got, buffer, -1))
READ(pread, (int fd, void *buffer, size_t length, off_t offset), (fd, buffer, length, offset),
     raw_pread(fd, buffer, length, (uint64_t)offset), was_read_flat(fd, got, buffer, offset))
READ(pread64, (int fd, void *buffer, size_t length, off64_t offset), (fd, buffer, length, offset),
     raw_pread(fd, buffer, length, (uint64_t)offset), was_read_flat(fd, got, buffer, offset))
READ(__pread64, (int fd, void *buffer, size_t length, off64_t offset), (fd, buffer, length, offset),
     raw_pread(fd, buffer, length, (uint64_t)offset), was_read_flat(fd, got, buffer, offset))
READ(__pread_chk, (int fd, void *buffer, size_t length, off_t offset, size_t room), (fd, buffer, length, offset, room),
     raw_pread(fd, buffer, length <= room ? length : room, (uint64_t)offset), was_read_flat(fd, got, buffer, offset))
READ(__pread64_chk, (int fd, void *buffer, size_t length, off64_t offset, size_t room),
     (fd, buffer, length, offset, room), raw_pread(fd, buffer, length <= room ? length : room, (uint64_t)offset),
     was_read_flat(fd, got, buffer, offset))
READ(readv, (int fd, const struct iovec *parts, int count), (fd, parts, count),
     raw_syscall6(SYS_readv, fd, (long)parts, count, 0, 0, 0), was_read(fd, got, parts, count, -1))
READ(preadv, (int fd, const struct iovec *parts, int count, off_t offset), (fd, parts, count, offset), PREADV_RAW(0),
     was_read(fd, got, parts, count, offset))
READ(preadv64, (int fd, const struct iovec *parts, int count, off64_t offset), (fd, parts, count, offset),
     PREADV_RAW(0), was_read(fd, got, parts, count, offset))
READ(preadv2, (int fd, const struct iovec *parts, int count, off_t offset, int flags),
     (fd, parts, count, offset, flags), PREADV_RAW(flags), was_read(fd, got, parts, count, offset))
READ(preadv64v2, (int fd, const struct iovec *parts, int count, off64_t offset, int flags),
     (fd, parts, count, offset, flags), PREADV_RAW(flags), was_read(fd, got, parts, count, offset))
