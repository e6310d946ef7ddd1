/* Files that the command writes: whole or not at all, and by one process at a time. */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool command_replace_file(const char *file, const char *text, const struct stat *old)
{
    char *real = realpath(file, NULL);
    const char *target = real ? real : file;
    char *fresh = command_memory(strlen(target) + 8);
    strcat(strcpy(fresh, target), ".XXXXXX");
    int fd = mkostemp(fresh, O_CLOEXEC), error = fd < 0 ? errno : 0;
    size_t length = strlen(text);

    if (fd >= 0) {
        for (size_t done = 0; error == 0 && done < length;) {
            ssize_t wrote = write(fd, text + done, length - done);
            if (wrote < 0 && errno != EINTR)
                error = errno;
            done += wrote > 0 ? (size_t)wrote : 0;
        }
        mode_t mask = umask(0);
        umask(mask);
        if (error == 0 && fchmod(fd, old ? old->st_mode & 07777 : 0666 & ~mask & ~(mode_t)S_IWOTH) < 0)
            error = errno;
        /* Only root can keep another owner, and a policy that changed hands may no longer be trusted. */
        if (error == 0 && old && (old->st_uid != geteuid() || old->st_gid != getegid()) &&
            fchown(fd, old->st_uid, old->st_gid) < 0)
            error = errno;
        if (error == 0 && fsync(fd) < 0)
            error = errno;
        if (close(fd) < 0 && error == 0)
            error = errno;
        if (error == 0 && rename(fresh, target) < 0)
            error = errno;
        if (error != 0)
            unlink(fresh);
    }
    free(fresh);
    free(real);
    errno = error;
    return error == 0;
}

static bool says_already(const char *file, const char *text, size_t size)
{
    size_t length = strlen(text);
    FILE *in = size == length ? fopen(file, "re") : NULL;
    char *there = in ? command_memory(length + 1) : NULL;
    bool same = in && fread(there, 1, length, in) == length && memcmp(there, text, length) == 0;

    if (in)
        fclose(in);
    free(there);
    return same;
}

bool command_write_file(const char *file, const char *text)
{
    struct stat status;
    bool piped = strcmp(file, "-") == 0, there = !piped && stat(file, &status) == 0;

    if (there && S_ISREG(status.st_mode))
        return says_already(file, text, (size_t)status.st_size) || command_replace_file(file, text, &status);
    if (!there && !piped)
        return command_replace_file(file, text, NULL);
    /* A terminal, a pipe: nothing to replace. */
    FILE *out = piped ? stdout : fopen(file, "we");
    bool good = out && fputs(text, out) >= 0 && fflush(out) == 0;
    if (out && !piped && fclose(out) != 0)
        good = false;
    return good;
}

int command_lock_folder(const char *file)
{
    char *real = realpath(file, NULL), *folder = real ? real : command_absolute(file), *slash = strrchr(folder, '/');

    slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX);
    return fd;
}
