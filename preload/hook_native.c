/* What the stubs of hook_dlopen.S ask before they jump to the loader. */
#define _GNU_SOURCE
#include "guard.h"
#include "library.h"
#include "real.h"
#include "torchscript.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

/* In two registers. */
struct dlopen_call {
    const char *path;
    long flags;
};
struct dlopen_call guard_check_dlopen(const char *path, int flags, const void *caller);

#define MESSAGES 8u
#define MESSAGE_SIZE 2048u

/* A text that outlives our frame, because the loader reads it after the jump: as many threads may be denied at once. */
static char *message_take(void)
{
    static char messages[MESSAGES][MESSAGE_SIZE];
    static unsigned next;
    return messages[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % MESSAGES];
}

/* The loader puts the folder of the caller's object in place of $ORIGIN. False: nothing to put in its place, or it does
 * not fit. */
static bool expand_origin(const char *path, const void *caller, char expanded[PATH_MAX])
{
    static const char *const words[] = {"$ORIGIN/", "${ORIGIN}/"};
    Dl_info object;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]) - 1;
        if (strncmp(path, words[i], length + 1) != 0)
            continue;
        const char *slash = dladdr(caller, &object) != 0 ? strrchr(object.dli_fname, '/') : NULL;
        size_t folder = slash != NULL ? (size_t)(slash - object.dli_fname) : 0;
        if (slash == NULL || folder + strlen(path + length) >= PATH_MAX)
            return false;
        memcpy(expanded, object.dli_fname, folder);
        strcpy(expanded + folder, path + length);
        return true;
    }
    return false;
}

static bool may_load(const char *path, const void *caller, char *message)
{
    char expanded[PATH_MAX];
    return library_may_load(expand_origin(path, caller, expanded) ? expanded : path, message, MESSAGE_SIZE);
}

static bool may_strip_deepbind(void)
{
    if (!guard_may_judge())
        return false;
    struct guard_section section = guard_enter();
    const struct policy *policy = guard_mode() == MODE_ENFORCE ? guard_policy() : NULL;
    bool may = policy != NULL && policy_no_deepbind(policy);
    guard_leave(section);
    return may;
}

/* Names without a slash are looked up where the system, the environment and the caller's own RUNPATH say: no file can
 * choose what is found there. A mode without RTLD_LAZY and RTLD_NOW makes the loader refuse what it is given, our
 * message in place of the name, without looking for such a file. */
struct dlopen_call guard_check_dlopen(const char *path, int flags, const void *caller)
{
    int saved = errno;
    struct dlopen_call call = {path, flags};
    if (!__atomic_load_n(&guard_real_dlopen, __ATOMIC_ACQUIRE))
        real_resolve();
    if (path && strchr(path, '/') && !(flags & RTLD_NOLOAD) && guard_may_judge()) {
        torchscript_notice(path);
        char *message = message_take();
        if (!may_load(path, caller, message))
            call = (struct dlopen_call){message, 0};
    }
    if ((call.flags & RTLD_DEEPBIND) && may_strip_deepbind())
        call.flags &= ~RTLD_DEEPBIND;
    errno = saved;
    return call;
}
