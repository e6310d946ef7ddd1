#define _GNU_SOURCE
#include "verdicts.h"

#include "raw.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xFF534D42 /* fs/smb/client/cifs.h; not in linux/magic.h before 5.18 */
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* Odd version: being written. Readers copy and compare the version; nobody ever waits. */
struct slot {
    uint32_t version;
    uint32_t users; /* threads that look at the seal */
    struct verdict_identity identity;
    bool reusable; /* verdict_find may give it out; else only the seal counts */
    struct verdict verdict;
    struct seal seal;
};
static struct slot slots[VERDICTS_MAX];
static uint32_t next_slot;

static int64_t nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

struct verdict_identity verdict_identity(const struct stat *status)
{
    return (struct verdict_identity){.device = status->st_dev,
                                     .inode = status->st_ino,
                                     .size = (uint64_t)status->st_size,
                                     .modified_ns = nanoseconds(&status->st_mtim),
                                     .changed_ns = nanoseconds(&status->st_ctim)};
}

bool verdict_may_keep(int fd, const struct stat *status, bool sealed)
{
    struct statfs mount;
    if (raw_syscall6(SYS_fstatfs, fd, (long)&mount, 0, 0, 0, 0) < 0)
        return false;
    switch ((unsigned long)mount.f_type & 0xFFFFFFFFul) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case V9FS_MAGIC:
    case FUSE_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
        return false;
    default:
        break;
    }
    if (sealed)
        return true;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = nanoseconds(&now) - nanoseconds(&status->st_ctim);
    return age > 2000000000;
}

static bool same(const struct verdict_identity *a, const struct verdict_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

int verdict_find(const struct verdict_identity *identity, struct verdict *verdict)
{
    for (int i = 0; i < VERDICTS_MAX; i++) {
        struct slot *slot = &slots[i];
        uint32_t version = __atomic_load_n(&slot->version, __ATOMIC_ACQUIRE);
        if (version == 0)
            break; /* slots fill in order */
        if (version & 1 || !slot->reusable || !same(&slot->identity, identity))
            continue;
        *verdict = slot->verdict;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&slot->version, __ATOMIC_RELAXED) == version)
            return i;
    }
    return -1;
}

/* Takes slot `i` for writing. */
static bool claim(struct slot *slot)
{
    uint32_t version = __atomic_load_n(&slot->version, __ATOMIC_RELAXED);
    return !(version & 1) && __atomic_compare_exchange_n(&slot->version, &version, version + 1, false, __ATOMIC_ACQ_REL,
                                                         __ATOMIC_RELAXED);
}

static void release(struct slot *slot)
{
    __atomic_add_fetch(&slot->version, 1, __ATOMIC_RELEASE);
}

/* Empties a claimed slot's seal. A thread that is looking at it keeps the memory, which is then lost: rarer than a
 * lock. */
static void empty_seal(struct slot *slot)
{
    struct seal seal = slot->seal;
    slot->seal = (struct seal){0};
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&slot->users, __ATOMIC_SEQ_CST) == 0)
        seal_free(&seal);
}

/* Where a verdict goes. What was sealed of the same file before is of no use beside a new seal: a program that reads
 * one file again and again, where nothing may be reused, keeps one. */
static struct slot *slot_for(const struct verdict_identity *identity, const struct seal *seal)
{
    for (int i = 0; seal->blocks && i < VERDICTS_MAX && __atomic_load_n(&slots[i].version, __ATOMIC_RELAXED); i++)
        if (slots[i].identity.inode == identity->inode && slots[i].identity.device == identity->device)
            return &slots[i];
    return &slots[__atomic_fetch_add(&next_slot, 1, __ATOMIC_RELAXED) % VERDICTS_MAX];
}

int verdict_keep(const struct verdict_identity *identity, const struct verdict *verdict, bool reusable,
                 struct seal *seal)
{
    struct slot *slot = slot_for(identity, seal);
    if (!claim(slot)) {
        seal_free(seal);
        return -1;
    }
    empty_seal(slot);
    slot->identity = *identity;
    slot->reusable = reusable;
    slot->verdict = *verdict;
    slot->seal = *seal;
    *seal = (struct seal){0};
    release(slot);
    return (int)(slot - slots);
}

enum verdict_answer verdict_ask(int number, int fd, const void *bytes, size_t length, uint64_t offset)
{
    struct slot *slot = &slots[number];
    struct stat status;
    enum verdict_answer answer = VERDICT_GONE;
    if (raw_fstat(fd, &status) < 0)
        return VERDICT_GONE;
    __atomic_add_fetch(&slot->users, 1, __ATOMIC_SEQ_CST);
    uint32_t version = __atomic_load_n(&slot->version, __ATOMIC_SEQ_CST);
    struct seal seal = slot->seal;
    bool ours = !(version & 1) && slot->identity.device == status.st_dev && slot->identity.inode == status.st_ino &&
                __atomic_load_n(&slot->version, __ATOMIC_SEQ_CST) == version;
    if (ours) {
        bool holds = !seal.blocks || (bytes ? seal_holds(&seal, fd, bytes, length, offset)
                                            : seal_holds_file(&seal, fd, offset, length));
        answer = holds ? VERDICT_HOLDS : VERDICT_BROKEN;
    }
    __atomic_sub_fetch(&slot->users, 1, __ATOMIC_SEQ_CST);
    return answer;
}

bool verdict_path(int number, int fd, char path[VERDICT_PATH])
{
    struct slot *slot = &slots[number];
    struct stat status;
    uint32_t version = __atomic_load_n(&slot->version, __ATOMIC_ACQUIRE);
    if (version & 1 || raw_fstat(fd, &status) < 0 || slot->identity.device != status.st_dev ||
        slot->identity.inode != status.st_ino)
        return false;
    memcpy(path, slot->verdict.path, VERDICT_PATH);
    path[VERDICT_PATH - 1] = 0;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return path[0] && __atomic_load_n(&slot->version, __ATOMIC_RELAXED) == version;
}

void verdict_drop(int number)
{
    struct slot *slot = &slots[number];
    if (!claim(slot))
        return;
    empty_seal(slot);
    slot->identity = (struct verdict_identity){0};
    release(slot);
}

void verdicts_after_fork(void)
{
    for (int i = 0; i < VERDICTS_MAX && slots[i].version; i++) {
        slots[i].users = 0;
        if (slots[i].version & 1) {
            slots[i].identity = (struct verdict_identity){0};
            slots[i].seal = (struct seal){0}; /* half written: its memory is lost */
            slots[i].version++;
        }
    }
}
