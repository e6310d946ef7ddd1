/* Starting programs. The child gets the guard back whatever environment the caller built; nothing of the caller's is
 * edited, and all memory is the stack's or a mapping, because the caller may be a vfork child. */
#define _GNU_SOURCE
#include "decimal.h"
#include "deed.h"
#include "environment.h"
#include "guard.h"
#include "program.h"
#include "raw.h"
#include "real.h"

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* Above this the new environment goes into a mapping: a thread's stack may be small. */
#define STACK_SCRATCH (2u << 10)

/* Evaluates `call` with `child` set to the environment for the child. The mapping outlives a successful exec by
 * nothing, and is given back after a failed one or a spawn. */
#define WITH_CHILD_ENVIRONMENT(envp, result, call)                                                          \
    do {                                                                                                    \
        char *const *child = (envp);                                                                        \
        size_t scratch_size = guard_ready() ? environment_child_size(child) : 0;                            \
        void *mapped = scratch_size > STACK_SCRATCH ? raw_take(NULL, scratch_size) : NULL;                  \
        if (scratch_size && (mapped || scratch_size <= STACK_SCRATCH))                                      \
            child = environment_child(child, mapped ? mapped : alloca(scratch_size));                       \
        (result) = (call);                                                                                  \
        int call_errno = errno;                                                                             \
        if (mapped)                                                                                         \
            raw_give(NULL, mapped, scratch_size);                                                           \
        errno = call_errno;                                                                                 \
    } while (0)

/* A hook may be called by another library's constructor before ours ran. */
static void need_real(void)
{
    if (!__atomic_load_n(&real.execve, __ATOMIC_ACQUIRE))
        real_resolve();
}

/* `path` NULL: it is searched for where the environment says, and no file chooses what is found there. `shown`: for
 * people. */
static bool may_start_by_value(int dirfd, const char *path, const char *shown, char *const argv[], const char *call)
{
    return deed_may_by_value(EFFECT_EXEC, shown, call) && program_may_start(dirfd, path, call, NULL, 0) &&
           program_may_hand_on(AT_FDCWD, shown, argv, call, NULL, 0);
}

/* EACCES: this thread may not, or may not start that. */
static bool may_start(int dirfd, const char *path, const char *shown, char *const argv[], const char *call)
{
    if (may_start_by_value(dirfd, path, shown, argv, call))
        return true;
    errno = EACCES;
    return false;
}

static bool may_start_open(int fd, char *const argv[], const char *call)
{
    char link[DESCRIPTOR_LINK_SIZE];
    const char *shown = argv && argv[0] ? argv[0] : "a program";
    return may_start(AT_FDCWD, fd >= 0 ? descriptor_link(fd, link) : NULL, shown, argv, call);
}

static const char *unless_searched(const char *file)
{
    return file && strchr(file, '/') ? file : NULL;
}

int hook_execve(const char *path, char *const argv[], char *const envp[])
{
    int result;
    need_real();
    if (!may_start(AT_FDCWD, path, path, argv, "execve"))
        return -1;
    WITH_CHILD_ENVIRONMENT(envp, result, real.execve(path, argv, child));
    return result;
}

int hook_execv(const char *path, char *const argv[])
{
    return hook_execve(path, argv, environ);
}

int hook_execvpe(const char *file, char *const argv[], char *const envp[])
{
    int result;
    need_real();
    if (!may_start(AT_FDCWD, unless_searched(file), file, argv, "execvpe"))
        return -1;
    WITH_CHILD_ENVIRONMENT(envp, result, real.execvpe(file, argv, child));
    return result;
}

int hook_execvp(const char *file, char *const argv[])
{
    return hook_execvpe(file, argv, environ);
}

int hook_fexecve(int fd, char *const argv[], char *const envp[])
{
    int result;
    need_real();
    if (!may_start_open(fd, argv, "fexecve"))
        return -1;
    WITH_CHILD_ENVIRONMENT(envp, result, real.fexecve(fd, argv, child));
    return result;
}

int hook_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
    int result;
    need_real();
    if (!real.execveat) {
        errno = ENOSYS;
        return -1;
    }
    bool open = (flags & AT_EMPTY_PATH) && path && !path[0];
    if (open ? !may_start_open(dirfd, argv, "execveat") : !may_start(dirfd, path, path, argv, "execveat"))
        return -1;
    WITH_CHILD_ENVIRONMENT(envp, result, real.execveat(dirfd, path, argv, child, flags));
    return result;
}

int hook_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    int result;
    need_real();
    if (!may_start_by_value(AT_FDCWD, path, path, argv, "posix_spawn"))
        return EACCES;
    WITH_CHILD_ENVIRONMENT(envp, result, real.posix_spawn(pid, path, actions, attributes, argv, child));
    return result;
}

int hook_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    int result;
    need_real();
    if (!may_start_by_value(AT_FDCWD, unless_searched(file), file, argv, "posix_spawnp"))
        return EACCES;
    WITH_CHILD_ENVIRONMENT(envp, result, real.posix_spawnp(pid, file, actions, attributes, argv, child));
    return result;
}

/* Counts the arguments of an execl-style call up to and with the NULL. */
static size_t count_arguments(va_list arguments)
{
    size_t count = 2;
    while (va_arg(arguments, char *))
        count++;
    return count;
}

/* Fills `argv` and leaves `arguments` behind the NULL, where execle's envp is. */
static void take_arguments(char **argv, const char *first, va_list *arguments)
{
    size_t i = 0;
    argv[i++] = (char *)(uintptr_t)first;
    while (argv[i - 1])
        argv[i++] = va_arg(*arguments, char *);
}

/* execl, execlp and execle differ only in what they call with the array. */
#define EXEC_LIST(last, call)                                          \
    do {                                                               \
        va_list list;                                                  \
        va_start(list, last);                                          \
        size_t count = (last) ? count_arguments(list) : 1;             \
        va_end(list);                                                  \
        char **argv = alloca(count * sizeof *argv);                    \
        va_start(list, last);                                          \
        take_arguments(argv, last, &list);                             \
        int result = (call);                                           \
        va_end(list);                                                  \
        return result;                                                 \
    } while (0)

int hook_execl(const char *path, const char *argument, ...)
{
    EXEC_LIST(argument, hook_execve(path, argv, environ));
}

int hook_execlp(const char *file, const char *argument, ...)
{
    EXEC_LIST(argument, hook_execvpe(file, argv, environ));
}

int hook_execle(const char *path, const char *argument, ...)
{
    EXEC_LIST(argument, hook_execve(path, argv, va_arg(list, char *const *)));
}

static bool may_start_line(const char *line, const char *call)
{
    if (!deed_may(EFFECT_EXEC, line, call))
        return false;
    if (!line || program_may_start_line(line, call))
        return true;
    errno = EACCES;
    return false;
}

/* system() and popen() take environ as it is: the shell is told to put back what is missing. */
#define WITH_SHELL_COMMAND(command, result, call)                                                  \
    do {                                                                                           \
        const char *line = (command);                                                              \
        size_t line_size = guard_ready() && line ? environment_shell_size(line) : 0;               \
        char *mapped = line_size ? raw_take(NULL, line_size) : NULL;                               \
        if (mapped)                                                                                \
            line = environment_shell(line, mapped);                                                \
        (result) = (call);                                                                         \
        int call_errno = errno;                                                                    \
        if (mapped)                                                                                \
            raw_give(NULL, mapped, line_size);                                                     \
        errno = call_errno;                                                                        \
    } while (0)

int hook_system(const char *command)
{
    int result;
    need_real();
    if (command && !may_start_line(command, "system"))
        return -1;
    WITH_SHELL_COMMAND(command, result, real.system(line));
    return result;
}

/* It asks a shell for every $(command) in `words`. */
int hook_wordexp(const char *words, wordexp_t *result, int flags)
{
    REAL_NEED(wordexp, WRDE_NOSPACE);
    if (!(flags & WRDE_NOCMD) && !deed_may_by_value(EFFECT_EXEC, words, "wordexp"))
        return WRDE_CMDSUB;
    return real.wordexp(words, result, flags);
}

#define POPEN(name)                                                \
    FILE *hook_##name(const char *command, const char *type)       \
    {                                                              \
        FILE *result;                                              \
        need_real();                                               \
        if (!may_start_line(command, #name))                       \
            return NULL;                                           \
        WITH_SHELL_COMMAND(command, result, real.name(line, type)); \
        return result;                                             \
    }
POPEN(popen)
POPEN(_IO_popen)
