/* What libunwind may reach of the outside world. At link time its references to NAME become __wrap_NAME (Makefile), in
 * its objects alone.
 *
 * libunwind 1.6.2 proves memory readable by writing it to a pipe that it keeps open; after a close_range() by the
 * program it closes and writes whatever has these numbers by then. native.c replaces that proof, so nothing here is
 * called for it any more: the calls fail. Locks and signal masks go because native.c lets one walk at a time in, by a
 * lock that survives fork. The rest would otherwise bind to guard's own hooks. */
#define _GNU_SOURCE
#include "native_outside.h"
#include "raw.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>

static int refuse(void)
{
    errno = ENOSYS;
    return -1;
}

int __wrap_pipe2(int descriptors[2], int flags);
int __wrap_pipe2(int descriptors[2], int flags)
{
    (void)flags;
    descriptors[0] = descriptors[1] = -1;
    return refuse();
}

int __wrap_pipe(int descriptors[2]);
int __wrap_pipe(int descriptors[2])
{
    return __wrap_pipe2(descriptors, 0);
}

ssize_t __wrap_read(int fd, void *buffer, size_t length);
ssize_t __wrap_read(int fd, void *buffer, size_t length)
{
    (void)fd, (void)buffer, (void)length;
    return refuse();
}

ssize_t __wrap_write(int fd, const void *buffer, size_t length);
ssize_t __wrap_write(int fd, const void *buffer, size_t length)
{
    (void)fd, (void)buffer, (void)length;
    return refuse();
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    (void)number;
    return refuse();
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    (void)path, (void)flags;
    return refuse();
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
    (void)fd;
    return refuse();
}

int __wrap_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status)
{
    (void)path, (void)status;
    return refuse();
}

int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
    (void)fd, (void)status;
    return refuse();
}

int __wrap_msync(void *address, size_t length, int flags);
int __wrap_msync(void *address, size_t length, int flags)
{
    (void)address, (void)length, (void)flags;
    return refuse();
}

int __wrap_mincore(void *address, size_t length, unsigned char *present);
int __wrap_mincore(void *address, size_t length, unsigned char *present)
{
    (void)address, (void)length, (void)present;
    return 0; /* asked once at the start, to choose between two proofs of which neither is used */
}

int __wrap_dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *data);
int __wrap_dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *data)
{
    return native_objects(visit, data);
}

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    (void)size;
    return NULL;
}

void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    (void)count, (void)size;
    return NULL;
}

void __wrap_free(void *pointer);
void __wrap_free(void *pointer)
{
    (void)pointer;
}

/* Its pools grow by anonymous mappings; its ELF reader, which would map files, is not used. */
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) == 0 || offset < 0) {
        refuse();
        return MAP_FAILED;
    }
    void *pointer = raw_mmap(address, length, protection, flags, fd, (uint64_t)offset);
    return raw_mmap_failed(pointer) ? MAP_FAILED : pointer;
}

int __wrap_munmap(void *address, size_t length);
int __wrap_munmap(void *address, size_t length)
{
    return raw_munmap(address, length) < 0 ? refuse() : 0;
}

int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how, (void)set, (void)old;
    return 0;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    (void)mutex, (void)attributes;
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    (void)mutex;
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    (void)mutex;
    return 0;
}

/* Unwind information that it does not understand ends the walk, not the program. */
void __wrap_abort(void);
void __wrap_abort(void)
{
    native_abort();
}
