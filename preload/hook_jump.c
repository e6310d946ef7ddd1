/* Jumping. A signal handler may jump out of the midst of guard's own work (an alarm around a slow open), which then
 * never comes to its end: the thread has left it, and is asked about what it does next like any other. */
#define _GNU_SOURCE
#include "guard.h"
#include "native.h"
#include "real.h"

static void leave_own_work(void)
{
    if (guard_thread.depth == 0)
        return;
    guard_thread.depth = 0;
    native_leave();
}

#define JUMP(name)                                                              \
    void hook_##name(struct __jmp_buf_tag *environment, int value)              \
    {                                                                           \
        if (!__atomic_load_n(&real.name, __ATOMIC_ACQUIRE))                     \
            real_resolve();                                                     \
        leave_own_work();                                                       \
        real.name(environment, value);                                          \
    }
JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)
