/* Mapping a file: the judged blocks are looked at once more, and a descriptor from elsewhere is judged now. What
 * changes in the mapping later is not seen (README, boundary). */
#define _GNU_SOURCE
#include "decimal.h"
#include "deed.h"
#include "descriptors.h"
#include "guard.h"
#include "library.h"
#include "raw.h"
#include "real.h"
#include "verdicts.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static bool may_map(int fd, size_t length, uint64_t offset)
{
    if (!guard_may_judge())
        return true;
    unsigned state = descriptor_state(fd);
    if (state == DESCRIPTOR_PLAIN)
        return true;
    int saved = errno;
    bool may = state >= DESCRIPTOR_SEALED &&
               verdict_ask((int)(state - DESCRIPTOR_SEALED), fd, NULL, length, offset) == VERDICT_HOLDS;
    if (!may && state >= DESCRIPTOR_SEALED)
        verdict_drop((int)(state - DESCRIPTOR_SEALED));
    may = may || guard_check_fd(fd, AT_FDCWD, NULL);
    errno = saved;
    return may;
}

/* TorchScript reads files by mapping them. */
static bool may_read(int fd)
{
    char link[DESCRIPTOR_LINK_SIZE], path[PATH_MAX];
    if (!torchscript_running())
        return true;
    long length = raw_readlinkat(AT_FDCWD, descriptor_link(fd, link), path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    return deed_may(EFFECT_READ, path, "mmap");
}

static bool may_map_file(int fd, size_t length, int protection, uint64_t offset)
{
    return may_map(fd, length, offset) && (!(protection & PROT_EXEC) || library_may_map(fd)) &&
           (!torchscript_known() || may_read(fd));
}

#define MMAP(name, offset_type)                                                                              \
    void *hook_##name(void *address, size_t length, int protection, int flags, int fd, offset_type offset)   \
    {                                                                                                        \
        if (!(flags & MAP_ANONYMOUS) && fd >= 0 && !may_map_file(fd, length, protection, (uint64_t)offset)) { \
            errno = EACCES;                                                                                  \
            return MAP_FAILED;                                                                               \
        }                                                                                                    \
        if (real.name)                                                                                       \
            return real.name(address, length, protection, flags, fd, offset);                                \
        void *mapped = raw_mmap(address, length, protection, flags, fd, (uint64_t)offset);                   \
        if (!raw_mmap_failed(mapped))                                                                        \
            return mapped;                                                                                   \
        errno = (int)-(intptr_t)mapped;                                                                      \
        return MAP_FAILED;                                                                                   \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)
