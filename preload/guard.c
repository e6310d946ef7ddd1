/* The library's state, its policy, and what becomes of a judgement. */
#define _GNU_SOURCE
#include "guard.h"

#include "audit.h"
#include "decimal.h"
#include "digest_start.h"
#include "environment.h"
#include "raw.h"
#include "real.h"
#include "record.h"
#include "say.h"
#include "settings.h"
#include "tally.h"
#include "text_hash.h"
#include "verdicts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int guard_state_word = GUARD_UNINIT;
__thread struct guard_thread guard_thread;
struct tally tally;

/* A page that the kernel empties in a forked child and leaves alone in a vfork child (MADV_WIPEONFORK, Linux 4.14;
 * without it the two cannot be told apart, and both are taken for forks). */
static uint32_t *same_process;
static long process_id;

/* What was loaded, published as a whole: a forked child must never wait for a thread that it does not have. */
struct loaded {
    const struct policy *policy; /* the built-in one where it had a fault */
    const struct lock *lock;     /* NULL: none is set, or there was a fault */
    bool faulty, site_faulty, lock_faulty;
    char fault[640]; /* "FILE:LINE:COLUMN: message" */
};
static struct loaded *loaded;

struct guard_section guard_enter(void)
{
    return (struct guard_section){errno, guard_thread.depth++};
}

void guard_leave(struct guard_section section)
{
    errno = section.saved_errno;
    guard_thread.depth = section.depth;
}

bool guard_borrowed_memory(void)
{
    long id = raw_getpid();
    if (same_process && __atomic_load_n(same_process, __ATOMIC_RELAXED))
        return id != process_id;
    if (id != process_id) {
        process_id = id;
        verdicts_after_fork();
    }
    if (same_process)
        __atomic_store_n(same_process, 1, __ATOMIC_RELAXED);
    return false;
}

/* What is wrong with the environment itself, or NULL. */
static const char *environment_fault(void)
{
    const char *mode = environment.mode;
    if (environment.too_long)
        return "a GUARD_ variable is longer than 4095 bytes";
    if (mode[0] && strcmp(mode, "enforce") && strcmp(mode, "audit") && strcmp(mode, "off"))
        return "GUARD_MODE is none of enforce, audit, off";
    if (environment.quiet[0] && strcmp(environment.quiet, "1") && strcmp(environment.quiet, "0"))
        return "GUARD_QUIET is neither 0 nor 1";
    return NULL;
}

static char *append_text(char *to, char *end, const char *text)
{
    while (*text && to + 1 < end)
        *to++ = *text++;
    *to = 0;
    return to;
}

static char *append_decimal(char *to, char *end, unsigned number)
{
    char digits[DECIMAL_SIZE];
    return append_text(to, end, decimal(number, digits));
}

static void note_fault(struct loaded *mine, const struct policy_fault *found)
{
    char *to = mine->fault, *end = mine->fault + sizeof mine->fault;
    mine->faulty = true;
    mine->site_faulty = !strcmp(found->name, SETTINGS_SITE_POLICY);
    if (found->name[0]) {
        to = append_text(to, end, found->name);
        if (found->line) {
            to = append_decimal(append_text(to, end, ":"), end, found->line);
            to = append_decimal(append_text(to, end, ":"), end, found->column);
        }
        to = append_text(to, end, ": ");
    }
    append_text(to, end, found->message);
}

/* Every thread that finds nothing loaded loads for itself; one publishes, the others throw theirs away. NULL: no
 * memory. */
static const struct loaded *load(void)
{
    struct loaded *mine = __atomic_load_n(&loaded, __ATOMIC_ACQUIRE), *none = NULL;
    if (mine)
        return mine;
    mine = raw_take(NULL, sizeof *mine);
    if (!mine)
        return NULL;
    struct policy_fault found = {0};
    const char *wrong = environment_fault();
    if (wrong)
        append_text(found.message, found.message + sizeof found.message, wrong);
    else
        mine->policy = settings_load_policy(environment.policy[0] ? environment.policy : NULL, &found);
    if (mine->policy && environment.lock[0] && !(mine->lock = settings_load_lock(environment.lock, &found))) {
        note_fault(mine, &found);
        mine->lock_faulty = true;
    }
    if (!mine->policy) {
        note_fault(mine, &found);
        mine->policy = policy_load(NULL, 0, &found);
    }
    if (__atomic_compare_exchange_n(&loaded, &none, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return mine;
    policy_free((struct policy *)(uintptr_t)mine->policy);
    lock_free((struct lock *)(uintptr_t)mine->lock);
    raw_give(NULL, mine, sizeof *mine);
    return none;
}

const char *guard_fault(void)
{
    const struct loaded *in_force = load();
    return !in_force ? "there is no memory for a policy" : in_force->faulty ? in_force->fault : NULL;
}

static bool site_has_policy(void)
{
    struct stat status;
    return raw_fstatat(AT_FDCWD, SETTINGS_SITE_POLICY, &status, 0) == 0;
}

enum policy_mode guard_mode(void)
{
    const struct loaded *in_force = load();
    enum policy_mode asked = !strcmp(environment.mode, "audit")     ? MODE_AUDIT
                             : !strcmp(environment.mode, "off")     ? MODE_OFF
                             : !strcmp(environment.mode, "enforce") ? MODE_ENFORCE
                                                                    : MODE_UNSET;
    /* A site policy that cannot be read might be locked. */
    if (!in_force)
        return asked == MODE_UNSET || site_has_policy() ? MODE_ENFORCE : asked;
    if (in_force->faulty && !in_force->lock_faulty)
        return asked == MODE_UNSET || in_force->site_faulty ? MODE_ENFORCE : asked;
    enum policy_mode said = policy_mode(in_force->policy);
    if (said == MODE_UNSET)
        said = MODE_ENFORCE;
    if (asked == MODE_UNSET || (policy_locked(in_force->policy) && asked != MODE_ENFORCE))
        return said;
    return asked;
}

const struct policy *guard_policy(void)
{
    const struct loaded *in_force = load();
    if (!in_force || (in_force->faulty && guard_mode() != MODE_AUDIT))
        return NULL;
    if (in_force->faulty)
        say_fault(in_force->lock_faulty ? "audit goes on without the lock: "
                                        : "audit goes on with the built-in policy: ",
                  in_force->fault, 0);
    return in_force->policy;
}

const struct lock *guard_lock(void)
{
    const struct loaded *in_force = environment.lock[0] ? load() : NULL;
    return in_force ? in_force->lock : NULL;
}

/* Names recorded once: an application that unpickles its own classes does so by the thousand. */
#define GUARD_TOLD 256

/* An allowed live effect is worth a record when somebody may want a rule for it one day, the first time. */
static bool worth_recording(const struct subject *subject, const struct judgement *judgement)
{
    static uint64_t hashes[GUARD_TOLD];
    static struct text_seen told = {hashes, GUARD_TOLD, 0};
    if (judgement->decision != DECISION_ALLOW)
        return true;
    bool code = subject->effect->kind == EFFECT_CODE; /* what ran belongs into a lock */
    if (!record_wanted() ||
        !(code || judgement->unlisted || subject->origin == ORIGIN_IPC || subject->origin == ORIGIN_CACHE))
        return false;
    uint64_t hash = text_hash(text_hash(TEXT_HASH_START, origin_name(subject->origin)), subject->effect->name);
    if (code && subject->path)
        hash = text_hash(hash, subject->path);
    return text_first_seen(&told, text_hash(hash, effect_kind_name(subject->effect->kind)));
}

/* Records and says it; what the program is to see. */
static enum decision carry_out(const struct subject *subject, const struct judgement *judgement,
                               const struct frame *frames, unsigned frame_count, char *message, size_t size)
{
    bool denied = judgement->decision == DECISION_DENY, audit = guard_mode() == MODE_AUDIT;
    const struct effect *effect = subject->effect;
    char arguments[512], clause[512];
    effect_render_arguments(effect, arguments, sizeof arguments);
    policy_describe(effect, clause, sizeof clause);
    struct model_identity identity = {0};
    if (subject->path)
        model_identify(subject->path, &identity);
    char sha256[65];
    bool hashed =
        (denied || effect->kind == EFFECT_CODE) && subject->sha256 && subject->sha256(subject->sha256_context, sha256);
    struct record record = {
        .event = effect_kind_name(effect->kind),
        .decision = judgement->decision,
        .rule = judgement->rule,
        .severity = judgement->severity,
        .effect = effect_kind_name(effect->kind),
        .name = effect->name,
        .arguments = effect->argument_count ? arguments : NULL,
        .path = subject->path,
        .format = effect->format,
        .size = -1,
        .sha256 = hashed ? sha256 : NULL,
        .model = &identity,
        .origin = subject->origin,
        .frames = frames,
        .frame_count = frame_count,
        .native = denied,
        .why = judgement->why,
    };
    bool written = record_write(&record);
    if (!denied) {
        tally_add(judgement->decision == DECISION_WARN ? &tally.warned : NULL);
        return !written && policy_log_required(guard_policy()) && !audit ? DECISION_DENY : judgement->decision;
    }
    tally_add(&tally.denied);
    struct say_denial denial = {
        .what = subject->path ? subject->path : subject->origin == ORIGIN_UNPICKLER ? "a pickle" : effect->name,
        .clause = guard_policy() ? clause : judgement->why, /* without one it is guard's own fault that speaks */
        .rule = judgement->rule,
        .frames = frames,
        .frame_count = frame_count,
        .would = audit,
        .drift = judgement->rule && !strncmp(judgement->rule, "lock-", 5),
        .effect = judgement->attack ? NULL : effect_kind_name(effect->kind),
        .name = effect->name,
        .model = subject->model,
        .revision = subject->revision,
        .sha256 = hashed ? sha256 : NULL,
    };
    say_denial(&denial);
    if (message && size)
        say_compose(&denial, message, size);
    return audit ? DECISION_ALLOW : DECISION_DENY;
}

enum decision guard_act(const struct subject *subject, const struct judgement *judgement, const struct frame *frames,
                        unsigned frame_count, char *message, size_t size)
{
    if (guard_mode() == MODE_OFF || !worth_recording(subject, judgement))
        return DECISION_ALLOW;
    struct frame *walked = frames ? NULL : raw_take(NULL, RECORD_FRAMES * sizeof *walked);
    if (walked) {
        frame_count = frames_walk(walked, RECORD_FRAMES);
        frames = walked;
    }
    enum decision seen = carry_out(subject, judgement, frames, frame_count, message, size);
    if (walked)
        raw_give(NULL, walked, RECORD_FRAMES * sizeof *walked);
    return seen;
}

enum decision guard_decide(struct subject *subject, const struct frame *frames, unsigned frame_count, char *message,
                           size_t size)
{
    struct judgement judgement;
    const struct policy *policy = guard_policy();
    if (policy)
        policy_judge(policy, subject, &judgement);
    else
        judgement = (struct judgement){.decision = DECISION_DENY, .rule = "guard-fault", .severity = "high",
                                       .why = guard_fault(), .attack = true};
    return guard_act(subject, &judgement, frames, frame_count, message, size);
}

static void record_start(void)
{
    struct record record = {.event = "start", .decision = DECISION_ALLOW, .size = -1};
    char path[512];
    long length = raw_readlinkat(AT_FDCWD, "/proc/self/exe", path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        record.path = path;
    }
    record_write(&record);
}

/* Hooks called before this pass through (another library's constructor may come first). */
__attribute__((constructor)) static void guard_start(void)
{
    guard_state_word = GUARD_BUSY;
    environment_capture();
    say_start();
    process_id = raw_getpid();
    void *page = raw_take(NULL, 4096);
    if (page && raw_syscall6(SYS_madvise, (long)page, 4096, MADV_WIPEONFORK, 0, 0, 0) == 0) {
        same_process = page;
        *same_process = 1;
    }
    if (!real_resolve()) {
        say_fault("loaded twice; this copy stands aside: ", environment.library, 0);
        guard_state_word = GUARD_OFF;
        return;
    }
    if (!strcmp(environment.mode, "off") && !site_has_policy()) {
        guard_state_word = GUARD_OFF;
        return;
    }
    __atomic_store_n(&guard_state_word, GUARD_READY, __ATOMIC_RELEASE);
    struct guard_section section = guard_enter();
    audit_install();
    if (python_present())
        digest_start();
    if (record_wanted() && python_present() && guard_mode() != MODE_OFF)
        record_start();
    guard_leave(section);
}

__attribute__((destructor)) static void guard_end(void)
{
    if (guard_ready() && !guard_borrowed_memory() && (tally.denied || tally.warned))
        say_summary(tally.judged, tally.denied, tally.warned, guard_mode() == MODE_AUDIT);
}
