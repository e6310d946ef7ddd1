/* System calls by the bare instruction: for code that must reach neither our own hooks nor libc's errno.
 *
 * All return what the kernel returns: a negative errno on failure. Async-signal-safe, usable before any constructor and
 * in vfork children. */
#ifndef GUARD_RAW_H
#define GUARD_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000 /* linux/fcntl.h; fcntl.h has it with _GNU_SOURCE alone */
#endif

static inline long raw_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "guard knows the system call convention of x86-64 and aarch64 only"
#endif
}

static inline long raw_openat(int dirfd, const char *path, int flags, unsigned mode)
{
    return raw_syscall6(SYS_openat, dirfd, (long)path, flags, (long)mode, 0, 0);
}
static inline long raw_close(int fd) { return raw_syscall6(SYS_close, fd, 0, 0, 0, 0, 0); }
static inline long raw_read(int fd, void *buffer, size_t length)
{
    return raw_syscall6(SYS_read, fd, (long)buffer, (long)length, 0, 0, 0);
}
static inline long raw_write(int fd, const void *buffer, size_t length)
{
    return raw_syscall6(SYS_write, fd, (long)buffer, (long)length, 0, 0, 0);
}
static inline long raw_pread(int fd, void *buffer, size_t length, uint64_t offset)
{
    return raw_syscall6(SYS_pread64, fd, (long)buffer, (long)length, (long)offset, 0, 0);
}
static inline long raw_fstatat(int dirfd, const char *path, struct stat *status, int flags)
{
    return raw_syscall6(SYS_newfstatat, dirfd, (long)path, (long)status, flags, 0, 0);
}
/* glibc 2.33 to 2.38 asks by the other call, and so a sandbox made for it may not know this one. */
static inline long raw_fstat(int fd, struct stat *status)
{
    long result = raw_syscall6(SYS_fstat, fd, (long)status, 0, 0, 0, 0);
    return result < 0 && result != -EBADF ? raw_fstatat(fd, "", status, AT_EMPTY_PATH) : result;
}
static inline long raw_getdents64(int fd, void *buffer, size_t length)
{
    return raw_syscall6(SYS_getdents64, fd, (long)buffer, (long)length, 0, 0, 0);
}
static inline long raw_readlinkat(int dirfd, const char *path, char *buffer, size_t size)
{
    return raw_syscall6(SYS_readlinkat, dirfd, (long)path, (long)buffer, (long)size, 0, 0);
}
static inline long raw_lseek(int fd, int64_t offset, int whence)
{
    return raw_syscall6(SYS_lseek, fd, offset, whence, 0, 0, 0);
}
static inline long raw_getpid(void) { return raw_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0); }
static inline long raw_gettid(void) { return raw_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0); }
static inline void *raw_mmap(void *address, size_t length, int protection, int flags, int fd, uint64_t offset)
{
    return (void *)raw_syscall6(SYS_mmap, (long)address, (long)length, protection, flags, fd, (long)offset);
}
static inline long raw_munmap(void *address, size_t length)
{
    return raw_syscall6(SYS_munmap, (long)address, (long)length, 0, 0, 0, 0);
}
/* Did raw_mmap fail? The kernel gives errors as -4095..-1. */
static inline bool raw_mmap_failed(const void *pointer) { return (uintptr_t)pointer > (uintptr_t)-4096; }

/* Zeroed memory straight from the kernel for scans and buffers, NULL when there is none; NULL context
 * fits scan_memory. */
static inline void *raw_take(void *context, size_t bytes)
{
    (void)context;
    void *pointer = raw_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return raw_mmap_failed(pointer) ? NULL : pointer;
}
static inline void raw_give(void *context, void *pointer, size_t bytes)
{
    (void)context;
    raw_munmap(pointer, bytes);
}

#endif
