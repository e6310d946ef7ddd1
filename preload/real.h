/* The next definition of each hooked symbol, and the declarations of our own. */
#ifndef GUARD_REAL_H
#define GUARD_REAL_H

#ifdef _FILE_OFFSET_BITS
#error "the hooks are spelt out per symbol: build without _FILE_OFFSET_BITS"
#endif

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <wordexp.h>

struct real {
#define HOOK(family, ret, name, params) ret(*name) params;
#include "hooks.def"
};
extern struct real real;
/* Some once more, where assembly finds them. */
extern void *guard_real_syscall, *guard_real_dlopen, *guard_real_dlmopen;

/* `hook_open` is exported as `open`: guard's own code cannot call a hook by accident. */
#define HOOK(family, ret, name, params) \
    extern __attribute__((visibility("default"))) ret hook_##name params __asm__(#name);
#include "hooks.def"

/* Looks all of them up. False when a symbol leads back to ourselves (the library was loaded twice). Calls dlsym, which
 * may allocate: from the constructor, or from a hook that has no raw system call to fall back on. Idempotent,
 * thread-safe. */
bool real_resolve(void);

/* For hooks that have no raw system call: looks the symbols up when a hook is called before our constructor; returns
 * `otherwise` from the hook, with ENOSYS, where this libc has no such function. */
#define REAL_NEED(name, otherwise)                                    \
    do {                                                              \
        if (!__atomic_load_n(&real.name, __ATOMIC_ACQUIRE))           \
            real_resolve();                                           \
        if (!real.name) {                                             \
            errno = ENOSYS;                                           \
            return otherwise;                                         \
        }                                                             \
    } while (0)

#endif
