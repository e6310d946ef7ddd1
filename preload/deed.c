#include "deed.h"

#include "frames.h"
#include "guard.h"
#include "model.h"
#include "raw.h"
#include "text_hash.h"
#include "verdicts.h"

#include <errno.h>
#include <sys/stat.h>

/* The format whose reading does it, for rules that name one. */
static const char *format_of(enum origin origin)
{
    switch (origin) {
    case ORIGIN_UNPICKLER:
        return "pickle";
    case ORIGIN_TORCHSCRIPT:
        return "torchscript";
    case ORIGIN_GRAPH:
        return "saved-model";
    case ORIGIN_MODEL_CODE:
        return "python";
    default:
        return NULL;
    }
}

/* The file at whose door it is laid; its memory lives as long as the judgement. */
struct culprit {
    struct graph_file file;
    struct model_identity model;
};

static bool culprit_known(enum origin origin, struct graph_file *file)
{
    if (origin == ORIGIN_GRAPH)
        return graph_running(file) && file->path[0] != '\0';
    if (origin == ORIGIN_TORCHSCRIPT)
        return torchscript_file(file->path);
    return origin == ORIGIN_UNPICKLER && guard_file_being_read(file->path, sizeof(file->path));
}

/* Does an unpickler open the very file that it reads? joblib does, to map its arrays for changing (mmap_mode="r+"). */
static bool is_own_file(const struct deed *deed)
{
    struct stat named, read;
    int fd = guard_thread.last_read_fd - 1;
    return deed->update && fd >= 0 && raw_fstatat(AT_FDCWD, deed->what, &named, 0) == 0 && raw_fstat(fd, &read) == 0 &&
           S_ISREG(read.st_mode) && named.st_dev == read.st_dev && named.st_ino == read.st_ino;
}

static void find_culprit(struct subject *subject, struct culprit *culprit)
{
    if (!culprit_known(subject->origin, &culprit->file))
        return;
    model_identify(culprit->file.path, &culprit->model);
    subject->path = culprit->file.path;
    subject->model = culprit->model.id[0] != '\0' ? culprit->model.id : NULL;
    subject->revision = culprit->model.revision[0] != '\0' ? culprit->model.revision : NULL;
}

static bool denied(const struct policy *policy, const struct subject *subject, struct judgement *judgement)
{
    policy_judge(policy, subject, judgement);
    return judgement->decision == DECISION_DENY;
}

/* The program itself, or talk between its processes? */
static bool own(enum origin origin)
{
    return origin == ORIGIN_UNKNOWN || origin == ORIGIN_IPC;
}

/* Denied for whoever it seemed to be: who is it in truth, and whose file? */
static void judge_in_truth(const struct policy *policy, struct subject *subject, struct effect *effect,
                           struct culprit *culprit, struct judgement *judgement)
{
    subject->origin = who_asks();
    effect->format = format_of(subject->origin);
    find_culprit(subject, culprit);
    if (policy != NULL)
        policy_judge(policy, subject, judgement);
}

bool deed_judge(const struct deed *deed, bool (*excused)(const struct deed *deed), char *message, size_t size)
{
    struct guard_section section = guard_enter();
    struct subject subject = {.moment = MOMENT_LIVE, .origin = who_guess()};
    const struct policy *policy = guard_policy();
    struct effect effect = {.kind = deed->kind, .name = deed->what, .format = format_of(subject.origin),
                            .detail = deed->detail};
    struct judgement judgement;
    struct culprit culprit;
    subject.effect = &effect;
    if (!own(subject.origin) && (policy == NULL || denied(policy, &subject, &judgement)))
        judge_in_truth(policy, &subject, &effect, &culprit, &judgement);
    bool may = own(subject.origin) || (subject.origin == ORIGIN_UNPICKLER && is_own_file(deed));
    guard_leave(section);
    if (may || (policy != NULL && judgement.decision == DECISION_DENY && excused != NULL && excused(deed)))
        return true;

    section = guard_enter();
    enum decision decision = policy != NULL ? guard_act(&subject, &judgement, NULL, 0, message, size)
                                            : guard_decide(&subject, NULL, 0, message, size);
    guard_leave(section);
    return decision != DECISION_DENY;
}

/* The same deed at the interpreter's level and at libc's: a program is searched along PATH and an address is written
 * differently, but a file goes by one name. Never 0. */
static uint32_t key_of(enum effect_kind kind, const char *what)
{
    uint64_t hash = text_hash(TEXT_HASH_START, effect_kind_name(kind));
    if (kind == EFFECT_WRITE)
        hash = text_hash(hash, what);
    return (uint32_t)(hash ^ hash >> 32) | 1u;
}

void deed_judged(const struct deed *deed)
{
    guard_thread.judged_what = key_of(deed->kind, deed->what);
    guard_thread.judged_code = (uintptr_t)frames_innermost();
}

static bool judged_before(const struct deed *deed)
{
    return guard_thread.judged_what == key_of(deed->kind, deed->what) &&
           guard_thread.judged_code == (uintptr_t)frames_innermost();
}

/* A vfork child: nothing of guard's may change, so there is no record. */
static bool may_on_borrowed_memory(const struct deed *deed)
{
    struct effect effect = {.kind = deed->kind, .name = deed->what};
    struct subject subject = {.effect = &effect, .moment = MOMENT_LIVE, .origin = who_asks()};
    struct judgement judgement;
    const struct policy *policy = guard_policy();
    if (own(subject.origin) || guard_mode() != MODE_ENFORCE)
        return true;
    return policy != NULL && !denied(policy, &subject, &judgement);
}

bool deed_may_suspect(const struct deed *asked)
{
    struct deed deed = *asked;
    if (deed.what == NULL)
        deed.what = "";
    if (!guard_may_judge())
        return true;
    struct guard_section section = guard_enter();
    bool may = judged_before(&deed), borrowed = !may && guard_borrowed_memory();
    if (borrowed)
        may = may_on_borrowed_memory(&deed);
    guard_leave(section);
    may = may || (!borrowed && deed_judge(&deed, NULL, NULL, 0));
    if (!may)
        errno = EACCES;
    return may;
}
