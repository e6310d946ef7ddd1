/* Opening a file is the moment of judgement: the descriptor that the kernel just gave is looked at, so there is no gap
 * between a path that was checked and a file that was opened. */
#define _GNU_SOURCE
#include "deed.h"
#include "descriptors.h"
#include "guard.h"
#include "raw.h"
#include "real.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* openat2's argument (linux/openat2.h), which old kernel headers lack. */
struct how {
    uint64_t flags, mode, resolve;
};

static int answer(long result)
{
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

/* Was this open one that can read what is in the file? */
static bool reads(int flags)
{
    return (flags & O_ACCMODE) != O_WRONLY && !(flags & (O_PATH | O_DIRECTORY | O_TRUNC));
}

/* The end of every open hook: the descriptor, or -1 with EACCES and the descriptor closed. */
static int opened(int fd, int dirfd, const char *path, int flags)
{
    if (fd < 0)
        return fd;
    if (!reads(flags)) {
        descriptor_set(fd, DESCRIPTOR_UNKNOWN);
        return fd;
    }
    if (guard_check_fd(fd, dirfd, path))
        return fd;
    descriptor_set(fd, DESCRIPTOR_UNKNOWN);
    raw_close(fd);
    errno = EACCES;
    return -1;
}

/* Asked before the file is there: opening may create or empty it. */
static bool may_open(const char *path, int flags)
{
    struct deed deed = {EFFECT_WRITE, path, "open", -1, deed_updates(flags)};
    return !who_suspected() || !deed_opens(flags) || deed_may_suspect(&deed);
}

static bool may_open_stream(const char *path, const char *mode)
{
    bool writes = mode && (mode[0] == 'w' || mode[0] == 'a'), changes = mode && strchr(mode, '+');
    return !who_suspected() || may_open(path, writes ? O_WRONLY | O_CREAT : changes ? O_RDWR : O_RDONLY);
}

/* Reopening closes the descriptor within libc. */
static void forget_stream(FILE *stream)
{
    int saved = errno;
    if (stream)
        descriptor_set(fileno(stream), DESCRIPTOR_UNKNOWN);
    errno = saved;
}

static FILE *opened_stream(FILE *stream, const char *path, const char *mode)
{
    if (!stream)
        return NULL;
    int fd = fileno(stream);
    bool readable = !mode || mode[0] == 'r' || (mode[0] == 'a' && strchr(mode, '+'));
    if (fd < 0 || !readable || guard_check_fd(fd, AT_FDCWD, path))
        return stream;
    forget_stream(stream);
    real.fclose(stream);
    errno = EACCES;
    return NULL;
}

/* The mode is there only with flags that create (glibc's __OPEN_NEEDS_MODE: O_TMPFILE includes O_DIRECTORY). */
static bool needs_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define TAKE_MODE(mode)                              \
    mode_t mode = 0;                                 \
    if (needs_mode(flags)) {                         \
        va_list list;                                \
        va_start(list, flags);                       \
        mode = va_arg(list, mode_t);                 \
        va_end(list);                                \
    }

/* Before the constructor ran the kernel is asked directly: dlsym may allocate, and an allocator may be what
 * is opening. */
#define OPEN(name, extra)                                                                                        \
    int hook_##name(const char *path, int flags, ...)                                                            \
    {                                                                                                            \
        TAKE_MODE(mode)                                                                                          \
        if (!may_open(path, flags))                                                                              \
            return -1;                                                                                           \
        return opened(real.name ? real.name(path, flags, mode)                                                   \
                                : answer(raw_openat(AT_FDCWD, path, flags | (extra), mode)),                     \
                      AT_FDCWD, path, flags);                                                                    \
    }
OPEN(open, 0)
OPEN(open64, O_LARGEFILE)
OPEN(__open, 0)
OPEN(__open64, O_LARGEFILE)

#define OPENAT(name, extra)                                                                                      \
    int hook_##name(int dirfd, const char *path, int flags, ...)                                                 \
    {                                                                                                            \
        TAKE_MODE(mode)                                                                                          \
        if (!may_open(path, flags))                                                                              \
            return -1;                                                                                           \
        return opened(real.name ? real.name(dirfd, path, flags, mode)                                            \
                                : answer(raw_openat(dirfd, path, flags | (extra), mode)),                        \
                      dirfd, path, flags);                                                                       \
    }
OPENAT(openat, 0)
OPENAT(openat64, O_LARGEFILE)

/* The fortified forms abort in libc when a mode is missing, so they are called as they are. */
#define OPEN_2(name)                                                                                             \
    int hook_##name(const char *path, int flags)                                                                 \
    {                                                                                                            \
        if (!may_open(path, flags))                                                                              \
            return -1;                                                                                           \
        return opened(real.name ? real.name(path, flags) : answer(raw_openat(AT_FDCWD, path, flags, 0)),         \
                      AT_FDCWD, path, flags);                                                                    \
    }
OPEN_2(__open_2)
OPEN_2(__open64_2)

#define OPENAT_2(name)                                                                                           \
    int hook_##name(int dirfd, const char *path, int flags)                                                      \
    {                                                                                                            \
        if (!may_open(path, flags))                                                                              \
            return -1;                                                                                           \
        return opened(real.name ? real.name(dirfd, path, flags) : answer(raw_openat(dirfd, path, flags, 0)),     \
                      dirfd, path, flags);                                                                       \
    }
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

int hook_openat2(int dirfd, const char *path, const void *how, size_t size)
{
    if (who_suspected() && how && !may_open(path, (int)((const struct how *)how)->flags))
        return -1;
    long fd = real.openat2 ? real.openat2(dirfd, path, how, size)
                           : answer(raw_syscall6(SYS_openat2, dirfd, (long)path, (long)how, (long)size, 0, 0));
    return opened((int)fd, dirfd, path, fd >= 0 ? (int)((const struct how *)how)->flags : 0);
}

/* creat opens for writing only. */
#define CREAT(name)                                                                                              \
    int hook_##name(const char *path, mode_t mode)                                                               \
    {                                                                                                            \
        if (!may_open(path, O_CREAT | O_WRONLY | O_TRUNC))                                                       \
            return -1;                                                                                           \
        int fd = real.name ? real.name(path, mode)                                                               \
                           : answer(raw_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, mode)); \
        descriptor_set(fd, DESCRIPTOR_UNKNOWN);                                                                  \
        return fd;                                                                                               \
    }
CREAT(creat)
CREAT(creat64)

int hook_open_by_handle_at(int mountfd, struct file_handle *handle, int flags)
{
    if (!may_open("a file", flags))
        return -1;
    int fd = real.open_by_handle_at
                 ? real.open_by_handle_at(mountfd, handle, flags)
                 : answer(raw_syscall6(SYS_open_by_handle_at, mountfd, (long)handle, flags, 0, 0, 0));
    return opened(fd, AT_FDCWD, NULL, flags);
}

#define FOPEN(name)                                                   \
    FILE *hook_##name(const char *path, const char *mode)             \
    {                                                                 \
        REAL_NEED(name, NULL);                                        \
        if (!may_open_stream(path, mode))                             \
            return NULL;                                              \
        return opened_stream(real.name(path, mode), path, mode);      \
    }
FOPEN(fopen)
FOPEN(fopen64)
FOPEN(_IO_fopen)

/* A stream whose reopening fails is closed. */
#define FREOPEN(name)                                                         \
    FILE *hook_##name(const char *path, const char *mode, FILE *stream)       \
    {                                                                         \
        REAL_NEED(name, NULL);                                                \
        forget_stream(stream);                                                \
        if (!may_open_stream(path, mode)) {                                   \
            real.fclose(stream);                                              \
            errno = EACCES;                                                   \
            return NULL;                                                      \
        }                                                                     \
        return opened_stream(real.name(path, mode, stream), path, mode);      \
    }
FREOPEN(freopen)
FREOPEN(freopen64)

/* A descriptor from elsewhere (inherited, received, a memfd) may become a stream without ever being opened by name. The
 * caller keeps the descriptor when fdopen fails. */
#define FDOPEN(name)                                                                                      \
    FILE *hook_##name(int fd, const char *mode)                                                           \
    {                                                                                                     \
        REAL_NEED(name, NULL);                                                                                       \
        if (mode && mode[0] == 'r' && descriptor_state(fd) == DESCRIPTOR_UNKNOWN &&                       \
            !guard_check_fd(fd, AT_FDCWD, NULL)) {                                                        \
            errno = EACCES;                                                                               \
            return NULL;                                                                                  \
        }                                                                                                 \
        return real.name(fd, mode);                                                                       \
    }
FDOPEN(fdopen)
FDOPEN(_IO_fdopen)

static bool may_call(long number, long a, long b, long c)
{
    if (number == SYS_openat)
        return may_open((const char *)b, (int)c);
    if (number == SYS_openat2)
        return c == 0 || may_open((const char *)b, (int)((const struct how *)c)->flags);
#ifdef SYS_open
    if (number == SYS_open)
        return may_open((const char *)a, (int)b);
#endif
    return true;
}

/* Reached from the stub in hook_syscall.S for opens and closes by number only, with syscall()'s own arguments. */
long guard_syscall(long number, long a, long b, long c, long d, long e, long f);
long guard_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (!may_call(number, a, b, c))
        return -1;
    long result = raw_syscall6(number, a, b, c, d, e, f);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    if (number == SYS_openat)
        return opened((int)result, (int)a, (const char *)b, (int)c);
    if (number == SYS_openat2)
        return opened((int)result, (int)a, (const char *)b, (int)((const struct how *)c)->flags);
#ifdef SYS_open
    if (number == SYS_open)
        return opened((int)result, AT_FDCWD, (const char *)a, (int)b);
#endif
    descriptor_set((int)a, DESCRIPTOR_UNKNOWN);
    return result;
}

/* syscall() before the constructor: the kernel directly, as libc would. */
long guard_syscall_plain(long number, long a, long b, long c, long d, long e, long f);
long guard_syscall_plain(long number, long a, long b, long c, long d, long e, long f)
{
    long result = raw_syscall6(number, a, b, c, d, e, f);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
