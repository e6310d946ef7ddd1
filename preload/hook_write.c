/* What changes the file system by name. Inside an unpickler nothing legitimate does (deed.h); for everybody else one
 * word of the thread's is looked at. */
#define _GNU_SOURCE
#include "deed.h"
#include "real.h"

#include <errno.h>

#define WRITE(name, path, parameters, arguments)                                                \
    int hook_##name parameters                                                                  \
    {                                                                                           \
        REAL_NEED(name, -1);                                                                    \
        return deed_may(EFFECT_WRITE, path, #name) ? real.name arguments : -1;                  \
    }

WRITE(unlink, path, (const char *path), (path))
WRITE(unlinkat, path, (int dirfd, const char *path, int flags), (dirfd, path, flags))
WRITE(remove, path, (const char *path), (path))
WRITE(rmdir, path, (const char *path), (path))
WRITE(rename, from, (const char *from, const char *to), (from, to))
WRITE(renameat, from, (int fromfd, const char *from, int tofd, const char *to), (fromfd, from, tofd, to))
WRITE(renameat2, from, (int fromfd, const char *from, int tofd, const char *to, unsigned flags),
      (fromfd, from, tofd, to, flags))
WRITE(mkdir, path, (const char *path, mode_t mode), (path, mode))
WRITE(mkdirat, path, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WRITE(link, to, (const char *from, const char *to), (from, to))
WRITE(linkat, to, (int fromfd, const char *from, int tofd, const char *to, int flags), (fromfd, from, tofd, to, flags))
WRITE(symlink, path, (const char *target, const char *path), (target, path))
WRITE(symlinkat, path, (const char *target, int dirfd, const char *path), (target, dirfd, path))
WRITE(truncate, path, (const char *path, off_t length), (path, length))
WRITE(truncate64, path, (const char *path, off64_t length), (path, length))
WRITE(chmod, path, (const char *path, mode_t mode), (path, mode))
WRITE(fchmodat, path, (int dirfd, const char *path, mode_t mode, int flags), (dirfd, path, mode, flags))
WRITE(lchmod, path, (const char *path, mode_t mode), (path, mode))
WRITE(chown, path, (const char *path, uid_t owner, gid_t group), (path, owner, group))
WRITE(lchown, path, (const char *path, uid_t owner, gid_t group), (path, owner, group))
WRITE(fchownat, path, (int dirfd, const char *path, uid_t owner, gid_t group, int flags),
      (dirfd, path, owner, group, flags))
WRITE(mknod, path, (const char *path, mode_t mode, dev_t device), (path, mode, device))
WRITE(mknodat, path, (int dirfd, const char *path, mode_t mode, dev_t device), (dirfd, path, mode, device))
WRITE(mkfifo, path, (const char *path, mode_t mode), (path, mode))
WRITE(mkfifoat, path, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WRITE(setxattr, path, (const char *path, const char *name, const void *value, size_t size, int flags),
      (path, name, value, size, flags))
WRITE(lsetxattr, path, (const char *path, const char *name, const void *value, size_t size, int flags),
      (path, name, value, size, flags))
WRITE(removexattr, path, (const char *path, const char *name), (path, name))
WRITE(lremovexattr, path, (const char *path, const char *name), (path, name))
WRITE(mkstemp, template, (char *template), (template))
WRITE(mkstemp64, template, (char *template), (template))
WRITE(mkostemp, template, (char *template, int flags), (template, flags))
WRITE(mkostemp64, template, (char *template, int flags), (template, flags))
WRITE(mkstemps, template, (char *template, int suffix), (template, suffix))
WRITE(mkstemps64, template, (char *template, int suffix), (template, suffix))
WRITE(mkostemps, template, (char *template, int suffix, int flags), (template, suffix, flags))
WRITE(mkostemps64, template, (char *template, int suffix, int flags), (template, suffix, flags))

char *hook_mkdtemp(char *template)
{
    REAL_NEED(mkdtemp, NULL);
    return deed_may(EFFECT_WRITE, template, "mkdtemp") ? real.mkdtemp(template) : NULL;
}
