#include "settings.h"

#include "raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

static void text_add(char *text, size_t size, const char *more)
{
    size_t used = strlen(text), length = strnlen(more, size - used - 1);

    memcpy(text + used, more, length);
    text[used + length] = '\0';
}

static void fault_fill(struct policy_fault *fault, const char *file, const char *what, const char *why)
{
    memset(fault, 0, sizeof(*fault));
    text_add(fault->name, sizeof(fault->name), file);
    text_add(fault->message, sizeof(fault->message), what);
    text_add(fault->message, sizeof(fault->message), why);
}

/* strerror() may allocate and translate. */
static const char *error_text(long error)
{
    switch (error) {
    case ENOENT:
        return "no such file";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ELOOP:
        return "too many symbolic links";
    case ENOTDIR:
        return "a part of the path is no folder";
    case EISDIR:
        return "it is a folder";
    case ENAMETOOLONG:
        return "the path is too long";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    default:
        return "input/output error";
    }
}

/* File systems without Unix permissions of their own show all files as writable by all: Windows drives in WSL (9P),
 * FAT, exFAT and NTFS. Their bits say nothing. */
static bool modes_are_made_up(int fd)
{
    static const long types[] = {0x01021997 /* 9P */, 0x4d44 /* FAT */, 0x2011bab0 /* exFAT */, 0x7366746e /* NTFS */};
    struct statfs status;

    if (raw_syscall6(SYS_fstatfs, fd, (long)&status, 0, 0, 0, 0) < 0)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if ((long)status.f_type == types[i])
            return true;
    return false;
}

/* NULL, or why the file behind `fd` is not to be trusted. */
static const char *distrust(int fd, const struct stat *status, bool site, size_t most)
{
    if (!S_ISREG(status->st_mode))
        return "it is no regular file";
    if (status->st_uid != 0 && (site || (long)status->st_uid != raw_syscall6(SYS_geteuid, 0, 0, 0, 0, 0, 0)))
        return site ? "it is not owned by root" : "it is owned neither by root nor by the user";
    if ((status->st_mode & S_IWOTH) && !modes_are_made_up(fd))
        return "it can be written by everybody";
    if ((uint64_t)status->st_size > most)
        return most == SETTINGS_POLICY_MAX ? "it is larger than 8 MiB" : "it is larger than 64 MiB";
    return NULL;
}

/* Reads what there is, up to `size` bytes. A negative errno on failure. */
static long read_all(int fd, char *buffer, size_t size)
{
    size_t length = 0;

    while (length < size) {
        long got = raw_read(fd, buffer + length, size - length);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return got;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (long)length;
}

enum loaded { LOADED, LOADED_ABSENT, LOADED_FAULT };

/* Reads a file of at most `most` bytes into memory from malloc. Without O_NONBLOCK a FIFO would hang the program. */
static enum loaded file_read(const char *file, bool site, size_t most, struct policy_text *text,
                             struct policy_fault *fault)
{
    struct stat status;
    long fd = raw_openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0) {
        /* That there is none shows without a descriptor too, when the program has taken all of them. */
        long failed = fd == -EMFILE || fd == -ENFILE ? raw_fstatat(AT_FDCWD, file, &status, 0) : fd;
        if (site && (failed == -ENOENT || failed == -ENOTDIR))
            return LOADED_ABSENT;
        fault_fill(fault, file, "cannot be opened: ", error_text(-fd));
        return LOADED_FAULT;
    }
    char *buffer = NULL;
    long got = raw_fstat((int)fd, &status);
    const char *why = got < 0 ? error_text(-got) : distrust((int)fd, &status, site, most);
    if (why) {
        fault_fill(fault, file, "cannot be trusted: ", why);
    } else if (!(buffer = malloc((size_t)status.st_size + 1))) {
        fault_fill(fault, file, "cannot be read: ", "out of memory");
    } else if ((got = read_all((int)fd, buffer, (size_t)status.st_size + 1)) < 0) {
        fault_fill(fault, file, "cannot be read: ", error_text(-got));
    } else if (got > status.st_size) {
        fault_fill(fault, file, "cannot be read: ", "it grew while it was read");
    } else {
        raw_close((int)fd);
        *text = (struct policy_text){.name = file, .text = buffer, .length = (size_t)got, .site = site};
        return LOADED;
    }
    raw_close((int)fd);
    free(buffer);
    return LOADED_FAULT;
}

struct policy *settings_load_policy(const char *user_file, struct policy_fault *fault)
{
    struct policy_text texts[2];
    size_t count = 0;
    struct policy *policy = NULL;
    enum loaded site = file_read(SETTINGS_SITE_POLICY, true, SETTINGS_POLICY_MAX, &texts[0], fault);

    count += site == LOADED;
    if (site != LOADED_FAULT &&
        (!user_file || file_read(user_file, false, SETTINGS_POLICY_MAX, &texts[count], fault) == LOADED)) {
        count += user_file != NULL;
        policy = policy_load(texts, count, fault);
    }
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)texts[i].text);
    return policy;
}

struct lock *settings_load_lock(const char *file, struct policy_fault *fault)
{
    struct policy_text text;
    if (file_read(file, false, SETTINGS_LOCK_MAX, &text, fault) != LOADED)
        return NULL;
    struct lock *lock = lock_load(&text, fault);
    free((void *)(uintptr_t)text.text);
    return lock;
}
