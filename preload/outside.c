#define _GNU_SOURCE
#include "outside.h"

#include "check.h"
#include "guard.h"
#include "native.h"
#include "object.h"
#include "raw.h"
#include "scratch.h"
#include "who.h"

/* --- what models name
 * ------------------------------------------------------------------------------------------------ */

uint64_t outside_names;

/* A Bloom filter of the paths (three bits of each), which may say yes too often but never forgets: who names ten
 * thousand files must not hide one that way. With a thousand in it one foreign path in ten thousand is mistaken, and
 * only a library's. */
#define FILTER_BITS (1u << 16)
static uint64_t filter[FILTER_BITS / 64];

/* The file that names a path. */
struct namer {
    char path[VERDICT_PATH]; /* empty when it is longer */
    char format[32];
};

/* Which file named which path; the oldest give way. Odd version: being written, as in edges.c. */
#define ROWS 128u
static struct row {
    uint32_t version;
    uint64_t hash;
    struct namer namer;
} rows[ROWS];
static uint32_t next_row;

/* Names with numbers that may be any: the rest is told apart. */
static uint64_t numbered_hash(const char *path)
{
    uint64_t hash = text_hash(TEXT_HASH_START, "numbered ");
    for (; *path != '\0'; path++)
        if (*path < '0' || *path > '9')
            hash = text_hash_bytes(hash, path, 1);
    return hash;
}

/* A relative name as it is written. */
static uint64_t relative_hash(const char *path)
{
    return text_hash(text_hash(TEXT_HASH_START, "relative "), path);
}

static void filter_add(uint64_t hash)
{
    for (unsigned i = 0; i < 3; i++, hash >>= 16)
        __atomic_fetch_or(&filter[hash % FILTER_BITS / 64], 1ull << hash % 64, __ATOMIC_RELAXED);
}

static bool filter_has(uint64_t hash)
{
    bool has = true;
    for (unsigned i = 0; i < 3; i++, hash >>= 16)
        has &= (__atomic_load_n(&filter[hash % FILTER_BITS / 64], __ATOMIC_RELAXED) >> hash % 64 & 1) != 0;
    return has;
}

/* The latest that named the path; where that is forgotten, the latest at all: it, or one with it, named so many. */
static struct namer namer_of(uint64_t hash)
{
    struct namer namer = {0};
    uint32_t last = __atomic_load_n(&next_row, __ATOMIC_RELAXED);
    for (uint32_t back = 1; back <= ROWS && back <= last; back++) {
        const struct row *row = &rows[(last - back) % ROWS];
        uint32_t version = __atomic_load_n(&row->version, __ATOMIC_ACQUIRE);
        bool found = __atomic_load_n(&row->hash, __ATOMIC_RELAXED) == hash;
        if (version == 0 || (version & 1) || (!found && namer.format[0] != '\0'))
            continue;
        struct namer copy = row->namer;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&row->version, __ATOMIC_RELAXED) != version)
            continue;
        namer = copy;
        if (found)
            break;
    }
    return namer;
}

static void row_add(uint64_t hash, const char *path, const char *format)
{
    struct row *row = &rows[__atomic_fetch_add(&next_row, 1, __ATOMIC_RELAXED) % ROWS];
    uint32_t version = __atomic_load_n(&row->version, __ATOMIC_RELAXED);
    if ((version & 1) || !__atomic_compare_exchange_n(&row->version, &version, version + 1, false, __ATOMIC_ACQ_REL,
                                                      __ATOMIC_RELAXED))
        return;
    row->namer = (struct namer){0};
    part_append(row->namer.path, sizeof row->namer.path, path, strlen(path));
    part_append(row->namer.format, sizeof row->namer.format, format, strlen(format));
    __atomic_store_n(&row->hash, hash, __ATOMIC_RELAXED);
    __atomic_store_n(&row->version, version + 2, __ATOMIC_RELEASE);
}

static void remember(uint64_t hash, const char *path, const char *format)
{
    filter_add(hash);
    row_add(hash, path, format);
}

bool outside_lies(const char *at, const char *file)
{
    struct model_identity here, there;
    size_t length = path_folder_length(file);
    if (strncmp(at, file, length) == 0 && at[length] == '/')
        return false;
    model_identify(file, &here);
    model_identify(at, &there);
    return here.id[0] == '\0' || strcmp(here.id, there.id) != 0;
}

/* One name in a file. */
struct name {
    const char *target, *path, *real;
    const char *format; /* NULL: it is looked at, and not remembered */
    bool numbered;      /* it holds a number that may be any */
};

static bool leaves_from(const struct name *name, const char *folder, size_t length)
{
    char whole[PATH_MAX], file[PATH_MAX];
    strcpy(file, name->path);
    path_straighten(file);
    if (!path_join(whole, folder, length, name->target))
        return true; /* nothing so long can be opened, nor told where it lies */
    path_straighten(whole);
    if (!outside_lies(whole, file) || !outside_lies(whole, name->real))
        return false;
    if (name->format != NULL) {
        remember(name->numbered ? numbered_hash(whole) : text_hash(TEXT_HASH_START, whole), name->path, name->format);
        __atomic_fetch_or(&outside_names, name->numbered ? UINT64_MAX : path_name_bit(whole), __ATOMIC_RELAXED);
    }
    return true;
}

static bool leaves(const struct name *name)
{
    char here[PATH_MAX];
    if (name->target[0] == '\0' || strcmp(name->target, ".") == 0) /* HDF5: the file itself */
        return false;
    if (name->target[0] == '/')
        return leaves_from(name, "", 0);
    bool any = leaves_from(name, name->path, path_folder_length(name->path));
    any |= leaves_from(name, name->real, path_folder_length(name->real));
    if (raw_syscall6(SYS_getcwd, (long)here, PATH_MAX, 0, 0, 0, 0) > 0 && here[0] == '/')
        any |= leaves_from(name, here, strlen(here));
    if (any && name->format != NULL) /* the program may go elsewhere until it is opened */
        remember(relative_hash(name->target), name->path, name->format);
    return any;
}

/* The name of a virtual dataset's source as HDF5 makes it of `target`: "%b" is a block's number, here 0, and "%%" a
 * sign (H5Pset_virtual). Links and storage take the same text as it is. False: it is no such name. */
static bool expand(const char *target, char expanded[PATH_MAX])
{
    size_t used = 0;
    bool numbered = false;
    if (strlen(target) >= PATH_MAX)
        return false;
    for (const char *at = target; *at != '\0'; at++) {
        bool sign = at[0] == '%' && (at[1] == 'b' || at[1] == '%');
        expanded[used++] = !sign ? *at : at[1] == 'b' ? '0' : '%';
        at += sign;
        numbered |= sign;
    }
    expanded[used] = '\0';
    return numbered;
}

static bool leaves_somehow(const char *target, const char *path, const char *real, const char *format)
{
    char expanded[PATH_MAX];
    bool any = leaves(&(struct name){target, path, real, format, false});
    return (expand(target, expanded) && leaves(&(struct name){expanded, path, real, format, true})) || any;
}

bool outside_leaves(const char *target, const char *path, const char *real)
{
    return leaves_somehow(target, path, real, NULL);
}

void outside_note(const struct effect *effect, const char *path, const char *real)
{
    leaves_somehow(effect->name, path, real, effect->format != NULL ? effect->format : "unknown");
}

/* --- who opens one of them
 * ------------------------------------------------------------------------------------------- */

/* HDF5's API is a dozen functions deep above open(). */
#define NATIVE_FRAMES 48u

/* The library is told a file's name by its caller. What follows a name within a file opens it below other calls. */
static bool opens_by_name(const char *symbol)
{
    static const char *const calls[] = {"H5Fopen", "H5Fis_", "H5Fcreate"};
    for (size_t i = 0; symbol != NULL && i < sizeof calls / sizeof calls[0]; i++)
        if (strncmp(symbol, calls[i], strlen(calls[i])) == 0)
            return true;
    return false;
}

static bool opened_by_program(void)
{
    struct native_frame frames[NATIVE_FRAMES];
    unsigned count = native_walk(frames, NATIVE_FRAMES, false);
    const void *own = object_base(&outside_names, NULL);
    bool library = false;
    for (unsigned i = 0; i < count; i++) {
        const char *symbol;
        const void *base = object_base((const void *)(frames[i].ip - 1), &symbol);
        if (base == own)
            continue;
        if (object_is_program(base))
            return !library;
        if (opens_by_name(symbol))
            return true;
        library = true;
    }
    return false;
}

/* One file being looked at; too large for a stranger's stack. */
struct opening {
    char shown[PATH_MAX], real[PATH_MAX], straight[PATH_MAX];
    struct namer by;
    struct model_identity model;
};

/* By the path as it is written, which is how a model names it; check_name() would put the kernel's in place of some. */
static bool is_named(struct opening *opening, int fd, int dirfd, const char *path)
{
    check_name(fd, dirfd, path, opening->shown, opening->real);
    strcpy(opening->straight, opening->shown);
    if (path[0] == '/' && strlen(path) < PATH_MAX)
        strcpy(opening->straight, path);
    path_straighten(opening->straight);
    uint64_t hashes[] = {text_hash(TEXT_HASH_START, opening->straight), numbered_hash(opening->straight),
                         relative_hash(path)};
    for (unsigned i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (!filter_has(hashes[i]))
            continue;
        opening->by = namer_of(hashes[i]);
        if (path[0] == '/' || opening->by.path[0] == '\0' || outside_lies(opening->straight, opening->by.path))
            return true;
    }
    return false;
}

static bool judge(struct opening *opening)
{
    struct effect effect = {.kind = EFFECT_READ, .name = opening->straight, .format = opening->by.format,
                            .detail = "where its data lead"};
    struct subject subject = {.effect = &effect, .moment = MOMENT_LIVE, .home = HOME_MODEL};
    subject.origin = who_suspected() ? who_asks() : ORIGIN_UNKNOWN;
    if (subject.origin == ORIGIN_UNKNOWN)
        subject.origin = ORIGIN_LIBRARY; /* the native stack says so */
    if (opening->by.path[0] != '\0') {
        model_identify(opening->by.path, &opening->model);
        subject.path = opening->by.path;
        subject.model = opening->model.id[0] != '\0' ? opening->model.id : NULL;
        subject.revision = opening->model.revision[0] != '\0' ? opening->model.revision : NULL;
    }
    return guard_decide(&subject, NULL, 0, NULL, 0) != DECISION_DENY;
}

bool outside_may_open(int fd, int dirfd, const char *path)
{
    struct guard_section section = guard_enter();
    bool may = true;
    struct opening *opening = guard_borrowed_memory() ? NULL : scratch_take_partly(sizeof *opening, 0);
    if (opening != NULL) {
        opening->model = (struct model_identity){0};
        may = !is_named(opening, fd, dirfd, path) || opened_by_program() || judge(opening);
        scratch_give(NULL, opening, sizeof *opening);
    } else if (!guard_borrowed_memory()) {
        may = guard_mode() != MODE_ENFORCE;
    }
    guard_leave(section);
    return may;
}
