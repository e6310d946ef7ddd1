/* Judging the file behind a descriptor: the one way from a hook to a verdict. */
#define _GNU_SOURCE
#include "check.h"

#include "audit.h"
#include "decimal.h"
#include "descriptors.h"
#include "environment.h"
#include "file_hash.h"
#include "outside.h"
#include "place.h"
#include "raw.h"
#include "runtime.h"
#include "say.h"
#include "scratch.h"
#include "torchscript.h"
#include "unpickler.h"
#include "who.h"

#include <errno.h>
#include <linux/magic.h>
#include <stddef.h>
#include <string.h>
#include <sys/vfs.h>

/* How often a file that changes under our eyes is judged again before it is denied. */
#define CHECK_TRIES 3

static void copy_text(char *to, size_t size, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    if (length >= size)
        length = size - 1;
    if (length)
        memcpy(to, text, length);
    to[length] = 0;
}

/* A verdict that the guard itself gives, without the analyzer. */
static void verdict_of_guard(struct verdict *verdict, const char *rule, const char *clause)
{
    *verdict = (struct verdict){.decision = DECISION_DENY, .effect = EFFECT_OPAQUE, .rule = rule, .severity = "high",
                                .attack = true};
    copy_text(verdict->clause, sizeof verdict->clause, clause);
}

/* Does `a` say more than `b` to somebody who has to act? What is called says more than what is merely named. */
static bool says_more(const struct finding *a, const struct finding *b)
{
    if (a->judgement.decision != b->judgement.decision)
        return a->judgement.decision > b->judgement.decision;
    if (a->judgement.attack != b->judgement.attack)
        return a->judgement.attack;
    return b->effect.kind == EFFECT_IMPORT && a->effect.kind != EFFECT_IMPORT;
}

static void take_verdict(const struct judged *judged, struct verdict *verdict)
{
    const struct finding *worst = NULL;
    *verdict = (struct verdict){.decision = judged->worst};
    if (judged->scan.format_count)
        verdict->format = judged->scan.formats[judged->scan.format_count - 1];
    for (size_t i = 0; i < judged->count; i++)
        if (judged->findings[i].judgement.decision != DECISION_ALLOW &&
            (!worst || says_more(&judged->findings[i], worst)))
            worst = &judged->findings[i];
    if (!worst)
        return;
    verdict->effect = worst->effect.kind;
    verdict->rule = worst->judgement.rule;
    verdict->severity = worst->judgement.severity;
    verdict->why = worst->judgement.why;
    verdict->attack = worst->judgement.attack;
    copy_text(verdict->name, sizeof verdict->name, worst->effect.name);
    if (check_has_arguments(&worst->effect))
        effect_render_arguments(&worst->effect, verdict->arguments, sizeof verdict->arguments);
    policy_describe(&worst->effect, verdict->clause, sizeof verdict->clause);
}

/* For rules that name a content. */
static bool content_sha256(void *context, char hex[DIGEST_HEX])
{
    struct check *check = context;
    if (!check->content[0] && file_hash(check->fd, &check->status, NULL, check->content) != HASH_DONE)
        check->content[0] = 0;
    strcpy(hex, check->content);
    return hex[0] != 0;
}

/* Is what a rule was told of the content true of the blocks that were judged? */
static bool content_holds(struct check *check, const struct seal *seal)
{
    char told[DIGEST_HEX];
    if (!check->content[0] || !seal)
        return true;
    strcpy(told, check->content);
    if (file_hash(check->fd, &check->status, seal, check->content) != HASH_DONE)
        check->content[0] = 0;
    return !strcmp(told, check->content);
}

/* Does a library follow such a name by itself? Where the policy has nothing against that, there is nothing
 * to remember. */
static bool is_followed(const struct policy *policy, const struct effect *effect)
{
    struct effect read = {.kind = EFFECT_READ, .name = effect->name, .format = effect->format};
    struct subject subject = {.effect = &read, .moment = MOMENT_LIVE, .home = HOME_MODEL, .origin = ORIGIN_LIBRARY};
    struct judgement judgement;
    policy_judge(policy, &subject, &judgement);
    return judgement.decision != DECISION_ALLOW;
}

/* Only of models: measurements are linked from file to file wherever they lie. */
static void note_outside(struct check *check, const struct effect *effect)
{
    if (effect->kind != EFFECT_READ || check->root == ROOT_NONE || !is_followed(check->policy, effect) ||
        !outside_leaves(effect->name, check->path, check->real))
        return;
    if (check->root == ROOT_UNASKED)
        check->root = model_in_root(check->path) || model_in_root(check->real) ? ROOT_MODEL : ROOT_NONE;
    if (check->root == ROOT_MODEL)
        outside_note(effect, check->path, check->real);
}

static void note_file(void *context, const struct effect *effect)
{
    struct check *check = context;
    note_outside(check, effect);
    graph_note(effect, check->path);
}

enum scanned { SCANNED_NO_MODEL, SCANNED, SCANNED_CHANGING };

/* Analyses the file until one look at it was of one piece. */
static enum scanned scan_file(struct check *check, bool in_root, struct seal *seal)
{
    for (int try = 0; try < CHECK_TRIES; try++) {
        struct judge_request request = {.policy = check->policy, .subject = check->subject, .in_model_root = in_root,
                                        .names_file = note_file, .names_context = check};
        struct seal_source reading;
        struct stat after;
        memset(&check->judged, 0, offsetof(struct judged, findings));
        check->content[0] = 0;
        if (!seal_source_open(&reading, &request.source, check->fd, (uint64_t)check->status.st_size, seal))
            return SCANNED_CHANGING;
        judge_source(&request, &check->judged);
        seal_source_close(&reading);
        if (raw_fstat(check->fd, &after) < 0)
            return SCANNED_CHANGING;
        struct verdict_identity before_id = verdict_identity(&check->status), after_id = verdict_identity(&after);
        bool steady =
            !memcmp(&before_id, &after_id, sizeof before_id) && (!seal || (!seal->unstable && !seal->incomplete));
        check->status = after;
        if (steady && content_holds(check, seal))
            return check->judged.scan.status == SCAN_NOT_MODEL ||
                           (check->judged.scan.status == SCAN_IO && !check->judged.count)
                       ? SCANNED_NO_MODEL
                       : SCANNED;
        if (seal)
            seal_free(seal);
    }
    return SCANNED_CHANGING;
}

/* A file whose content is none of a model's: only a lock has anything to say of it. */
static bool judge_content(struct check *check)
{
    check->verdict = (struct verdict){.decision = DECISION_ALLOW};
    check_drift(check, false, false, NULL);
    descriptor_set(check->number, DESCRIPTOR_PLAIN);
    return check->drift.rule ? check_conclude(check, true) : check_conclude_plain(check);
}

/* Was this format found in the file, or around what was? */
static bool is_of(const struct check *check, const char *format)
{
    const struct scan_result *scan = &check->judged.scan;
    for (size_t i = 0; i < scan->format_count; i++)
        if (!strcmp(scan->formats[i], format))
            return true;
    return false;
}

/* Is it one of the files in which chat templates come? */
static bool may_hold_template(const struct check *check)
{
    static const char *const names[] = {"/tokenizer_config.json", "/processor_config.json", "/chat_template.json",
                                        ".jinja"};
    size_t length = strlen(check->path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (length >= strlen(names[i]) && !strcmp(check->path + length - strlen(names[i]), names[i]))
            return true;
    return is_of(check, "gguf");
}

static bool drift_of_edge(const struct check *check)
{
    return check->new_edge.rule || check->drift.target[0];
}

/* Blocks of what is no model that are remembered: an archive of some thousand modules. */
#define PLAIN_BLOCKS_MAX 4096u

/* Archives that are no models are opened as often as Python imports from them. */
static void remember_plain(struct check *check, bool enforce, struct seal *seal)
{
    struct verdict_identity identity = verdict_identity(&check->status);
    check->verdict = (struct verdict){.decision = DECISION_ALLOW, .plain = true};
    if (check->judged.scan.status == SCAN_NOT_MODEL && seal->used <= PLAIN_BLOCKS_MAX &&
        verdict_may_keep(check->fd, &check->status, enforce))
        (void)verdict_keep(&identity, &check->verdict, true, seal);
    seal_free(seal);
}

static bool judge_afresh(struct check *check, bool in_root)
{
    struct seal seal = {0};
    bool enforce = check->mode == MODE_ENFORCE;
    enum scanned scanned = scan_file(check, in_root, enforce ? &seal : NULL);
    if (scanned == SCANNED_NO_MODEL) {
        if (in_root)
            seal_free(&seal); /* by another name it is no config */
        else
            remember_plain(check, enforce, &seal);
        return judge_content(check);
    }
    if (scanned == SCANNED_CHANGING)
        verdict_of_guard(&check->verdict, "changing", "keeps changing while it is being judged");
    else
        take_verdict(&check->judged, &check->verdict);
    if (is_of(check, "torchscript"))
        torchscript_note_file(check->path);
    if (may_hold_template(check))
        who_note_template();
    if (check->verdict.decision == DECISION_DENY && enforce)
        graph_forget(check->path);
    strcpy(check->verdict.sha256, check->content);
    struct verdict_identity identity = verdict_identity(&check->status);
    bool sealed = enforce && check->verdict.decision != DECISION_DENY;
    bool keep = scanned == SCANNED && verdict_may_keep(check->fd, &check->status, sealed);
    if (scanned == SCANNED)
        check_drift(check, true, true, enforce ? &seal : NULL);
    keep = keep && !drift_of_edge(check); /* its findings tell the next time as well */
    if (check->verdict.decision == DECISION_DENY)
        seal_free(&seal);
    if (strlen(check->path) < VERDICT_PATH)
        strcpy(check->verdict.path, check->path);
    int slot = verdict_keep(&identity, &check->verdict, keep, &seal);
    descriptor_set(check->number, slot >= 0 ? DESCRIPTOR_SEALED + (unsigned)slot : DESCRIPTOR_UNKNOWN);
    return check_conclude(check, true);
}

/* By the name that the program uses, because a hub cache's link says more than its blob; where that does not tell where
 * the file lies, by the kernel's, unless a link at its end leads elsewhere. */
static void identify(struct check *check)
{
    const char *name = strrchr(check->path, '/'), *real = strrchr(check->real, '/');
    bool by_real = strstr(check->path, "/../") && name && real && !strcmp(name, real);
    model_identify(by_real ? check->real : check->path, &check->model);
}

static bool judge_candidate(struct check *check, unsigned bid)
{
    bool in_root = scan_config_name(check->path) && model_in_root(check->path);
    bool judged = bid & SCAN_BID_CONTENT || in_root;
    /* Programs open JSON all day: nothing is loaded for what is certain to be none of a model's. */
    if (!judged && !environment.lock[0] && !check_may_be_of_model(check->path)) {
        descriptor_set(check->number, DESCRIPTOR_PLAIN);
        return true;
    }
    check->mode = guard_mode();
    if (check->mode == MODE_OFF)
        return true;
    check->policy = guard_policy();
    if (!judged && !(guard_lock() && drift_may_concern(check->path))) {
        descriptor_set(check->number, DESCRIPTOR_PLAIN);
        return check_conclude_plain(check);
    }
    guard_thread.last_open_cache = place_own_cache(check->real, &check->status);
    if (guard_thread.last_open_cache) {
        descriptor_set(check->number, DESCRIPTOR_PLAIN);
        return true;
    }
    identify(check);
    check->subject = (struct subject){
        .moment = MOMENT_LOAD,
        .origin = unpickler_origin(),
        .path = check->path,
        .model = check->model.id[0] ? check->model.id : NULL,
        .revision = check->model.revision[0] ? check->model.revision : NULL,
        .sha256 = content_sha256,
        .sha256_context = check,
    };
    if (!check->policy) {
        verdict_of_guard(&check->verdict, "guard-fault", guard_fault());
        return check_conclude(check, true);
    }
    if (!judged)
        return judge_content(check);
    struct verdict_identity identity = verdict_identity(&check->status);
    int slot = verdict_find(&identity, &check->verdict);
    if (slot >= 0 && check->mode == MODE_ENFORCE && check->verdict.decision != DECISION_DENY &&
        verdict_ask(slot, check->fd, NULL, SIZE_MAX, 0) != VERDICT_HOLDS) {
        verdict_drop(slot);
        slot = -1;
    }
    if (slot < 0 || (check->verdict.plain && in_root))
        return judge_afresh(check, in_root);
    if (check->verdict.plain)
        return judge_content(check);
    check_drift(check, true, false, NULL);
    descriptor_set(check->number, DESCRIPTOR_SEALED + (unsigned)slot);
    return check_conclude(check, false);
}

/* Files that the kernel writes as they are read (their sizes lie) hold no models. */
static bool is_kernel_file(int fd)
{
    struct statfs mount;
    if (raw_syscall6(SYS_fstatfs, fd, (long)&mount, 0, 0, 0, 0) < 0)
        return false;
    switch ((unsigned long)mount.f_type & 0xFFFFFFFFul) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

/* A regular file that was opened. */
struct opened {
    int number; /* the program's descriptor */
    int fd;     /* by which the same file is read */
    int dirfd;
    const char *path;
};

static bool check_candidate(const struct opened *file, const struct stat *status, unsigned bid)
{
    bool may = true;
    struct guard_section section = guard_enter();
    if (runtime_present() && !guard_borrowed_memory() && !is_kernel_file(file->fd)) {
        struct check *check = scratch_take_partly(sizeof *check, offsetof(struct check, judged.findings));
        if (check) {
            check->number = file->number;
            check->fd = file->fd;
            check->status = *status;
            check->nameless = !check_name(file->fd, file->dirfd, file->path, check->path, check->real);
            may = judge_candidate(check, bid);
            scratch_give(NULL, check, sizeof *check);
        } else {
            say_fault("no memory to judge ", file->path ? file->path : "a file", 0);
            may = guard_mode() != MODE_ENFORCE;
        }
    }
    guard_leave(section);
    return may;
}

/* In a vfork child the number means another file than in the parent, whose memory this is. */
static void note_plain(int fd)
{
    if (!guard_borrowed_memory())
        descriptor_set(fd, DESCRIPTOR_PLAIN);
}

/* The same file once more, for us. Below zero: an errno. */
static int open_for_reading(int fd)
{
    char link[DESCRIPTOR_LINK_SIZE];
    return (int)raw_openat(AT_FDCWD, descriptor_link(fd, link), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
}

/* Was it opened for transfers around the page cache, so that it reads whole sectors into aligned memory alone? */
static bool is_direct(int fd)
{
    long flags = raw_syscall6(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    return flags > 0 && (flags & O_DIRECT);
}

static bool check_regular(const struct opened *opened, const struct stat *status)
{
    struct opened file = *opened;
    unsigned bid;
    int again = -1;
    long failed = check_bid(file.fd, file.path, (uint64_t)status->st_size, &bid);
    if (failed == -EINVAL && (again = open_for_reading(file.number)) >= 0)
        failed = check_bid(again, file.path, (uint64_t)status->st_size, &bid);
    bool may = true;
    if (!failed && bid == SCAN_BID_NONE && !check_may_be_of_model(file.path) &&
        !(environment.lock[0] && file.path && drift_may_concern(file.path))) {
        note_plain(file.number);
    } else if (!failed) { /* else the program cannot read it either */
        if (again < 0 && is_direct(file.fd))
            again = open_for_reading(file.number);
        if (again >= 0)
            file.fd = again;
        may = check_candidate(&file, status, bid);
    }
    if (again >= 0)
        raw_close(again);
    return may;
}

bool guard_check_fd(int fd, int dirfd, const char *path)
{
    struct stat status;
    if (!guard_may_judge())
        return true;
    audit_notice(path);
    if (outside_may_name(path) && !outside_may_open(fd, dirfd, path))
        return false;
    if (graph_known() && !graph_may_open(fd, dirfd, path))
        return false;
    if (raw_fstat(fd, &status) < 0)
        return true;
    if (!S_ISREG(status.st_mode)) {
        note_plain(fd);
        return true;
    }
    if (status.st_size <= 0) { /* what is written into it may be read back */
        descriptor_set(fd, DESCRIPTOR_UNKNOWN);
        return true;
    }
    return check_regular(&(struct opened){fd, fd, dirfd, path}, &status);
}

bool guard_file_being_read(char *path, size_t size)
{
    int fd = guard_thread.last_read_fd - 1;
    unsigned state = fd >= 0 ? descriptor_state(fd) : DESCRIPTOR_UNKNOWN;
    return size >= VERDICT_PATH && state >= DESCRIPTOR_SEALED &&
           verdict_path((int)(state - DESCRIPTOR_SEALED), fd, path);
}
