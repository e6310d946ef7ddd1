/* What was judged before, by the file's identity. A verdict saves a scan; the seal beside it proves that the bytes are
 * still those (stores through a shared mapping change no timestamp). */
#ifndef GUARD_VERDICTS_H
#define GUARD_VERDICTS_H

#include "digest.h"
#include "seal.h"

#include "../policy/policy.h"

#include <sys/stat.h>

#define VERDICTS_MAX 512 /* files remembered; the oldest give way. A sharded 405B checkpoint has 191 */

#define VERDICT_PATH 1024

struct verdict_identity {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns;
};

/* The worst finding of a file, as records and messages need it again. Rule, severity and why belong to the policy. */
struct verdict {
    enum decision decision;
    enum effect_kind effect;
    const char *rule, *severity, *why; /* NULL when there was no finding */
    const char *format;                /* static, or NULL */
    bool attack;
    bool plain;                        /* no model, whatever its first bytes promised */
    char name[256];                    /* effect.name */
    char arguments[256];
    char clause[384];                  /* policy_describe */
    char sha256[DIGEST_HEX];           /* of the whole file; empty: not asked for */
    char path[VERDICT_PATH];           /* absolute, as the program named it; empty when it is longer */
};

struct verdict_identity verdict_identity(const struct stat *status);

/* May a verdict on this file be remembered at all? Not when it lies on a network or FUSE mount, whose times and
 * contents belong to somebody else, nor, unless it is `sealed`, when it changed within the last two seconds, in which
 * timestamps cannot tell. */
bool verdict_may_keep(int fd, const struct stat *status, bool sealed);

/* Copies what is remembered of `identity`. Returns its slot, or -1. Lock-free. */
int verdict_find(const struct verdict_identity *identity, struct verdict *verdict);

/* Remembers; takes over `seal`'s memory (which is emptied) in any case. Not `reusable`: verdict_find will not give it
 * out, only the seal is kept for reads to come. Returns the slot, or -1 when another thread is writing there. */
int verdict_keep(const struct verdict_identity *identity, const struct verdict *verdict, bool reusable,
                 struct seal *seal);

/* Asks the seal in `slot` whether bytes just read hold (bytes NULL: whether the file does). What was kept without a
 * seal (audit) holds. VERDICT_GONE: the slot was given to another file, so nothing is known. */
enum verdict_answer { VERDICT_HOLDS, VERDICT_BROKEN, VERDICT_GONE };
enum verdict_answer verdict_ask(int slot, int fd, const void *bytes, size_t length, uint64_t offset);

/* The path under which the file behind `fd` was judged, if `slot` is still that file's. */
bool verdict_path(int slot, int fd, char path[VERDICT_PATH]);

/* Drops the slot's verdict, after its seal broke. */
void verdict_drop(int slot);

/* In a forked child: entries that another thread was writing at the fork are emptied. */
void verdicts_after_fork(void);

#endif
