#define _GNU_SOURCE
#include "ipc.h"

#include "raw.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#define PIPEFS 0x50495045 /* PIPEFS_MAGIC of linux/magic.h: pipes without a name */

/* Generations looked at: forkserver and loky make three. */
#define ANCESTORS 16u

/* The parent of a process from /proc/PID/stat, "PID (name) S PPID ...", 0 when it cannot be told. The name may hold
 * anything; the last ')' ends it. */
static long parent_of(long process)
{
    char path[32] = "/proc/", buffer[512], digits[20];
    size_t at = 6, count = 0;
    for (long rest = process; rest > 0 && count < sizeof(digits); rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        path[at++] = digits[--count];
    memcpy(path + at, "/stat", sizeof("/stat"));
    long fd = raw_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    long length = raw_read((int)fd, buffer, sizeof(buffer) - 1);
    raw_close((int)fd);
    if (length <= 0)
        return 0;
    buffer[length] = '\0';
    const char *text = strrchr(buffer, ')');
    if (text == NULL || strlen(text) < 5)
        return 0;
    long parent = 0;
    for (text += 4; *text >= '0' && *text <= '9'; text++)
        parent = parent * 10 + (*text - '0');
    return parent;
}

/* From `process` upwards, itself first. Process 1 counts for nobody's ancestor: on an ordinary machine everybody has
 * it. */
static unsigned lineage(long process, long ancestors[ANCESTORS])
{
    unsigned count = 0;
    while (process > 1 && count < ANCESTORS) {
        ancestors[count++] = process;
        process = parent_of(process);
    }
    return count;
}

/* Does process 1 run our own program, as it does in a container? */
static bool first_is_ours(void)
{
    char own[512], first[512];
    long length = raw_readlinkat(AT_FDCWD, "/proc/self/exe", own, sizeof(own));
    return length > 0 && raw_readlinkat(AT_FDCWD, "/proc/1/exe", first, sizeof(first)) == length &&
           memcmp(own, first, (size_t)length) == 0;
}

/* Is one the ancestor of the other, or do they have the same parent? */
static bool family(long peer)
{
    long self = raw_getpid(), own[ANCESTORS], theirs[ANCESTORS];
    if (peer == self)
        return true;
    unsigned own_count = lineage(self, own), their_count = lineage(peer, theirs);
    for (unsigned i = 1; i < own_count; i++)
        if (own[i] == peer)
            return true;
    for (unsigned i = 1; i < their_count; i++)
        if (theirs[i] == self)
            return true;
    if (own_count > 1 && their_count > 1)
        return own[1] == theirs[1];
    return (self == 1 || peer == 1 || (own_count == 1 && their_count == 1)) && first_is_ours();
}

static bool local_family(int fd)
{
    struct ucred peer;
    int domain = 0;
    socklen_t length = sizeof(domain);
    if (raw_syscall6(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, (long)&domain, (long)&length, 0) != 0 ||
        domain != AF_UNIX)
        return false;
    length = sizeof(peer);
    if (raw_syscall6(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, (long)&peer, (long)&length, 0) != 0)
        return false;
    return peer.pid > 0 && peer.uid == (uid_t)raw_syscall6(SYS_geteuid, 0, 0, 0, 0, 0, 0) && family(peer.pid);
}

bool ipc_descriptor(int fd)
{
    struct stat status;
    if (raw_fstat(fd, &status) != 0)
        return false;
    if (S_ISSOCK(status.st_mode))
        return local_family(fd);
    struct statfs system;
    return S_ISFIFO(status.st_mode) && raw_syscall6(SYS_fstatfs, fd, (long)&system, 0, 0, 0, 0) == 0 &&
           system.f_type == PIPEFS;
}
