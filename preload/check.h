/* One judgement under way; for check.c, check_conclude.c and, to name files, library.c. */
#ifndef GUARD_CHECK_H
#define GUARD_CHECK_H

#include "drift.h"
#include "edges.h"
#include "guard.h"
#include "judge.h"
#include "model.h"
#include "record.h"
#include "verdicts.h"

#include <limits.h>
#include <sys/stat.h>

/* Lives in a mapping, because stacks of strangers' threads may be small. */
struct check {
    int number; /* the program's descriptor */
    int fd;     /* by which the same file is read */
    struct stat status;
    char path[PATH_MAX];      /* absolute, as the program names it: a hub cache's link says more than its blob */
    char content[DIGEST_HEX]; /* its SHA-256, if a rule asked for it */
    char real[PATH_MAX];      /* what the kernel calls it */
    enum { ROOT_UNASKED, ROOT_NONE, ROOT_MODEL } root; /* does it lie in a model root? Once some question needs it */
    bool nameless;            /* the program gave no name, as with a descriptor that it got or made a copy of */
    struct model_identity model;
    struct verdict verdict;
    struct drift drift;
    struct drift new_edge; /* besides `drift` */
    struct subject subject;
    enum policy_mode mode;
    const struct policy *policy;
    struct frame frames[RECORD_FRAMES];
    unsigned frame_count;
    bool walked;
    struct judged judged;
};

/* Fills `bid` as scan_bid() does. Returns 0, or a negative errno when the file cannot be read. */
long check_bid(int fd, const char *path, uint64_t size, unsigned *bid);

/* Names the file behind `fd`: `shown`, absolute, as the program wrote it relative to `dirfd` (NULL: unknown), and what
 * the kernel calls it. Returns whether the program gave a name at all. */
bool check_name(int fd, int dirfd, const char *path, char shown[PATH_MAX], char real[PATH_MAX]);

/* Compares the file, and what is new in check->judged (`judged`, `fresh`), with the lock, if there is one: fills
 * check->drift and check->new_edge, and verdict.sha256 where it took the file's hash. Not `judged`: its content is none
 * of a model's. `seal` as for file_hash(). */
void check_drift(struct check *check, bool judged, bool fresh, const struct seal *seal);

/* Fills check->frames, once. */
void check_walk(struct check *check);

/* The end of every judgement: counts, records, says. `fresh`: the findings have not been recorded before. Returns
 * whether the program may have the file. */
bool check_conclude(struct check *check, bool fresh);

/* The same for a file that holds nothing to judge: recorded when it belongs to a model all the same, because it lies in
 * a hub cache (a vocabulary) or a model names it (weights outside an ONNX graph). */
bool check_conclude_plain(struct check *check);

/* Might it be such a file, going by the name alone? */
bool check_may_be_of_model(const char *path);

/* Has the effect arguments worth showing? */
static inline bool check_has_arguments(const struct effect *effect)
{
    return effect->kind == EFFECT_CALL || effect->argument_count;
}

#endif
