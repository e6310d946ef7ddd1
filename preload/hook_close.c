/* Closing and renumbering: what was known of a descriptor ends before the number can mean something else. */
#define _GNU_SOURCE
#include "descriptors.h"
#include "raw.h"
#include "real.h"

#include <errno.h>

uint16_t descriptors[DESCRIPTORS_MAX];
uint32_t descriptors_highest;

void descriptors_forget(unsigned first, unsigned last)
{
    uint32_t highest = __atomic_load_n(&descriptors_highest, __ATOMIC_RELAXED);
    for (unsigned fd = first; fd <= last && fd <= highest; fd++)
        descriptor_set((int)fd, DESCRIPTOR_UNKNOWN);
}

static int answer(long result)
{
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

/* The real close is a cancellation point; the raw one serves before the constructor. */
#define CLOSE(name)                                                      \
    int hook_##name(int fd)                                              \
    {                                                                    \
        descriptor_set(fd, DESCRIPTOR_UNKNOWN);                          \
        return real.name ? real.name(fd) : answer(raw_close(fd));        \
    }
CLOSE(close)
CLOSE(__close)

#define DUP2(name)                                                                                       \
    int hook_##name(int from, int to)                                                                    \
    {                                                                                                    \
        descriptor_set(to, DESCRIPTOR_UNKNOWN);                                                          \
        return real.name ? real.name(from, to)                                                           \
                         : answer(from == to ? raw_syscall6(SYS_fcntl, from, F_GETFD, 0, 0, 0, 0) < 0    \
                                                   ? -EBADF                                              \
                                                   : to                                                  \
                                             : raw_syscall6(SYS_dup3, from, to, 0, 0, 0, 0));            \
    }
DUP2(dup2)
DUP2(__dup2)

int hook_dup3(int from, int to, int flags)
{
    descriptor_set(to, DESCRIPTOR_UNKNOWN);
    return real.dup3 ? real.dup3(from, to, flags) : answer(raw_syscall6(SYS_dup3, from, to, flags, 0, 0, 0));
}

int hook_close_range(unsigned first, unsigned last, int flags)
{
    descriptors_forget(first, last);
    if (!real.close_range) /* before the constructor, or glibc before 2.34 */
        return answer(raw_syscall6(SYS_close_range, (long)first, (long)last, flags, 0, 0, 0));
    return real.close_range(first, last, flags);
}

void hook_closefrom(int first)
{
    unsigned from = first < 0 ? 0 : (unsigned)first;
    descriptors_forget(from, ~0u);
    if (real.closefrom)
        real.closefrom(first);
    else
        raw_syscall6(SYS_close_range, (long)from, (long)~0u, 0, 0, 0, 0);
}

/* What libc closes itself reaches no hook of close(). No stream crashes in libc, no folder is EINVAL. */
#define CLOSE_OBJECT(name, type, number)                                  \
    int hook_##name(type *object)                                         \
    {                                                                     \
        REAL_NEED(name, -1);                                              \
        int saved = errno;                                                \
        if (object)                                                       \
            descriptor_set(number(object), DESCRIPTOR_UNKNOWN);           \
        errno = saved;                                                    \
        return real.name(object);                                         \
    }
CLOSE_OBJECT(fclose, FILE, fileno)
CLOSE_OBJECT(_IO_fclose, FILE, fileno)
CLOSE_OBJECT(pclose, FILE, fileno)
CLOSE_OBJECT(closedir, DIR, dirfd)
