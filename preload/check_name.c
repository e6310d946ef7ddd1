/* What to call the file that is judged. */
#include "check.h"

#include "decimal.h"
#include "raw.h"

#include <string.h>

static size_t append(char *to, size_t used, const char *text)
{
    size_t length = strlen(text);
    if (used + length >= PATH_MAX)
        return used;
    memcpy(to + used, text, length + 1);
    return used + length;
}

static bool descriptor_path(int fd, char path[PATH_MAX])
{
    char link[DESCRIPTOR_LINK_SIZE];
    long length = raw_readlinkat(AT_FDCWD, descriptor_link(fd, link), path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return length > 0;
}

/* Links are not followed: `..` keeps its meaning for the kernel only. */
bool check_name(int fd, int dirfd, const char *path, char shown[PATH_MAX], char real[PATH_MAX])
{
    size_t used = 0;
    shown[0] = 0;
    descriptor_path(fd, real);
    if (!path || !path[0] || !strncmp(path, "/proc/", 6) || !strncmp(path, "/dev/fd/", 8)) {
        strcpy(shown, real);
        return false;
    }
    if (path[0] != '/') {
        if (dirfd == AT_FDCWD) {
            if (raw_syscall6(SYS_getcwd, (long)shown, PATH_MAX, 0, 0, 0, 0) <= 0)
                shown[0] = 0;
        } else {
            descriptor_path(dirfd, shown);
        }
        used = append(shown, strlen(shown), "/");
        while (path[0] == '.' && path[1] == '/')
            path += 2;
    }
    append(shown, used, path);
    return true;
}
