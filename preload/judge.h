/* Bytes to verdict: the analyzer's effects, each judged by the policy, the worst of them kept. Used when a file is
 * opened and by `guard scan`; what differs is the subject. No stdio, no malloc: scan memory comes from scratch.h. */
#ifndef GUARD_JUDGE_H
#define GUARD_JUDGE_H

#include "../analyzer/limits.h"
#include "../policy/policy.h"

/* Findings kept of one file. A person reads a handful; a checkpoint of a real library gives none or a few. */
#define JUDGED_FINDINGS 64
/* Text of one finding: a name and an alias (LIMIT_NAME each), a path, a field and some arguments. What does not fit is
 * left out from the arguments backwards. */
#define JUDGED_TEXT 4096

/* One judged effect that is not trivial: warned of, denied, or an edge to another model or file (whatever its
 * decision). */
struct finding {
    struct effect effect; /* strings and arguments point into this finding, or are the policy's */
    struct judgement judgement;
    bool edge; /* it names another model: in effect.name (DEPEND) or in the first argument (CALL) */
    bool file; /* it names a further file of the same model: in effect.name (READ) */
    struct argument arguments[LIMIT_ARGUMENTS];
    char text[JUDGED_TEXT];
};

/* Large (about 300 KiB, most of it never touched): take it zeroed from raw_take(). */
struct judged {
    enum decision worst;
    struct scan_result scan;
    size_t count;
    size_t omitted; /* non-trivial effects that were not kept: no worse than the ones that were */
    bool unlisted;  /* some names were left to be settled when they are resolved */
    struct finding findings[JUDGED_FINDINGS]; /* in the order of the file; equal ones once */
};

struct judge_request {
    const struct policy *policy;
    struct subject subject; /* all but `effect`. `path` also tells configs by their name, so give it as it was opened:
                               a hub cache's links resolve to names that say nothing */
    struct source source;
    bool in_model_root; /* see model_in_root() */
    bool beside;        /* see struct scan_request */
    /* Told of each file that this one names or would write (EFFECT_READ, EFFECT_WRITE), also of those that are not kept
     * as findings. NULL: nobody. */
    void (*names_file)(void *context, const struct effect *effect);
    void *names_context;
    /* Settles a name that no rule lists and no unpickler will resolve (effect.attribute). NULL: the rules'
     * word stays. */
    void (*settle_attribute)(const void *context, struct subject *subject, struct judgement *judgement);
    const void *settle_context;
};

/* Fills `judged`, which must be zeroed up to `findings`. A scan that ran out of memory, or whose source failed once a
 * format was known, is judged as the opaque model it is ("memory", "unreadable"); a source that failed before that
 * leaves only judged->scan.status. Allocates by scratch_take(); reentrant. */
void judge_source(const struct judge_request *request, struct judged *judged);

/* The other model that an edge leads to: the target of a DEPEND, or the first string argument of a call of a loader;
 * NULL when it cannot be told. */
const char *finding_target(const struct finding *finding);

#endif
