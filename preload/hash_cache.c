#define _GNU_SOURCE
#include "hash_cache.h"

#include "decimal.h"
#include "environment.h"
#include "raw.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/statfs.h>

/* What a file of the cache holds. The kernel's numbers are the machine's own affair, and so is this layout. */
struct entry {
    char magic[16]; /* with the version: another guard may judge other blocks */
    struct verdict_identity identity;
    uint64_t mount;
    struct known_hash known;
    unsigned char check[DIGEST_SIZE]; /* over all above: a torn write is none of ours */
};
#define MAGIC "guard " GUARD_VERSION

/* The file system's own number: device numbers of overlays and of removable disks are given out anew. */
static uint64_t mount_of(int fd)
{
    struct statfs mount;
    uint64_t number = 0;
    if (raw_syscall6(SYS_fstatfs, fd, (long)&mount, 0, 0, 0, 0) == 0)
        memcpy(&number, &mount.f_fsid, sizeof number);
    return number;
}

static void entry_fill(struct entry *entry, int fd, const struct verdict_identity *identity)
{
    memset(entry, 0, sizeof *entry);
    strncpy(entry->magic, MAGIC, sizeof entry->magic - 1);
    entry->identity = *identity;
    entry->mount = mount_of(fd);
}

/* Named by what does not change with the content: a new hash of a file replaces its old one. */
static void entry_name(const struct entry *entry, char name[DIGEST_HEX])
{
    const uint64_t place[] = {entry->mount, entry->identity.device, entry->identity.inode};
    digest_hex(place, sizeof place, name);
}

static void entry_check(const struct entry *entry, unsigned char check[DIGEST_SIZE])
{
    digest_sha256(entry, offsetof(struct entry, check), check);
}

/* Opens the folder `name` below `parent`, making it if need be. It must be the user's, and a private one closed to all
 * others: whoever else may write in the folder above it can put nothing in its place that belongs to the user. */
static int folder_open(int parent, const char *name, bool private, bool make)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (private ? O_NOFOLLOW : 0);
    struct stat status;
    long fd = raw_openat(parent, name, flags, 0);
    if (fd == -ENOENT && make && raw_syscall6(SYS_mkdirat, parent, (long)name, 0700, 0, 0, 0) == 0)
        fd = raw_openat(parent, name, flags, 0);
    if (fd < 0)
        return -1;
    if (raw_fstat((int)fd, &status) == 0 && status.st_uid == (uid_t)raw_syscall6(SYS_geteuid, 0, 0, 0, 0, 0, 0) &&
        !(private && status.st_mode & 077))
        return (int)fd;
    raw_close((int)fd);
    return -1;
}

static int step_into(int parent, const char *name, bool private, bool make)
{
    int fd = parent >= 0 ? folder_open(parent, name, private, make) : -1;
    if (parent >= 0)
        raw_close(parent);
    return fd;
}

/* The cache's folder, or -1. */
static int cache_open(bool make)
{
    int base;
    if (environment.cache[0] == '/')
        base = folder_open(AT_FDCWD, environment.cache, false, false);
    else if (environment.home[0] == '/')
        base = step_into(folder_open(AT_FDCWD, environment.home, false, false), ".cache", false, make);
    else
        return -1;
    return step_into(step_into(base, "guard", true, make), "hashes", true, make);
}

bool hash_cache_find(int fd, const struct verdict_identity *identity, struct known_hash *known)
{
    struct entry wanted, entry;
    unsigned char check[DIGEST_SIZE];
    char name[DIGEST_HEX];
    int folder = cache_open(false);
    if (folder < 0)
        return false;
    entry_fill(&wanted, fd, identity);
    entry_name(&wanted, name);
    long file = raw_openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    raw_close(folder);
    if (file < 0)
        return false;
    long got = raw_read((int)file, &entry, sizeof entry);
    raw_close((int)file);
    if (got != (long)sizeof entry || memcmp(&entry, &wanted, offsetof(struct entry, known)) != 0)
        return false;
    entry_check(&entry, check);
    *known = entry.known;
    return memcmp(check, entry.check, sizeof check) == 0;
}

void hash_cache_keep(int fd, const struct verdict_identity *identity, const struct known_hash *known)
{
    struct entry entry;
    char name[DIGEST_HEX], fresh[DIGEST_HEX + DECIMAL_SIZE], digits[DECIMAL_SIZE];
    int folder = cache_open(true);
    if (folder < 0)
        return;
    entry_fill(&entry, fd, identity);
    entry_name(&entry, name);
    entry.known = *known;
    entry_check(&entry, entry.check);
    strcat(strcat(strcpy(fresh, name), "."), decimal((unsigned long)raw_gettid(), digits));
    long file = raw_openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (file >= 0) {
        bool whole = raw_write((int)file, &entry, sizeof entry) == (long)sizeof entry;
        raw_close((int)file);
        if (!whole || raw_syscall6(SYS_renameat2, folder, (long)fresh, folder, (long)name, 0, 0) < 0)
            raw_syscall6(SYS_unlinkat, folder, (long)fresh, 0, 0, 0, 0);
    }
    raw_close(folder);
}
