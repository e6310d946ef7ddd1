#define _GNU_SOURCE
#include "real.h"

#include <dlfcn.h>

struct real real;
void *guard_real_syscall, *guard_real_dlopen, *guard_real_dlmopen;

bool real_resolve(void)
{
    bool circular = false;
#define HOOK(family, ret, name, params)                                                                     \
    do {                                                                                                    \
        union {                                                                                             \
            void *object;                                                                                   \
            ret(*function) params;                                                                          \
        } next;                                                                                             \
        next.object = dlsym(RTLD_NEXT, #name);                                                              \
        if (next.function == hook_##name)                                                                   \
            circular = true;                                                                                \
        else                                                                                                \
            __atomic_store_n(&real.name, next.function, __ATOMIC_RELEASE);                                  \
    } while (0);
#include "hooks.def"
    __atomic_store_n(&guard_real_syscall, (void *)real.syscall, __ATOMIC_RELEASE);
    __atomic_store_n(&guard_real_dlmopen, (void *)real.dlmopen, __ATOMIC_RELEASE);
    __atomic_store_n(&guard_real_dlopen, (void *)real.dlopen, __ATOMIC_RELEASE);
    return !circular;
}
