/* What becomes of a judgement: counts, records, lines for people. */
#define _GNU_SOURCE
#include "check.h"

#include "asker.h"
#include "phase.h"
#include "raw.h"
#include "say.h"
#include "tally.h"
#include "text_hash.h"

#include <string.h>

void check_walk(struct check *check)
{
    if (!check->walked)
        check->frame_count = frames_walk(check->frames, RECORD_FRAMES);
    if (!check->walked && check->subject.origin == ORIGIN_UNKNOWN)
        check->subject.origin = asker_origin(check->frames, check->frame_count);
    check->walked = true;
}

/* Is it the lock alone that denies? */
static bool only_drifted(const struct check *check)
{
    return check->drift.rule && check->verdict.decision != DECISION_DENY;
}

static enum decision decision_of(const struct check *check)
{
    return check->drift.rule ? DECISION_DENY : check->verdict.decision;
}

/* Loads recorded once: a library opens the same file for its size, its header and its tensors. */
#define LOADS_TOLD 1024
static uint64_t load_hashes[LOADS_TOLD];
static struct text_seen loads_told = {load_hashes, LOADS_TOLD, 0};

/* Of this process, this file as it is now, and who led to it. */
static uint64_t load_hash(const struct check *check, const struct edge *edge)
{
    struct verdict_identity identity = verdict_identity(&check->status);
    long process = raw_getpid();
    uint64_t hash = text_hash(text_hash(TEXT_HASH_START, check->path), edge->parent);
    hash = text_hash(hash, check->verdict.rule ? check->verdict.rule : "");
    return text_hash_bytes(text_hash_bytes(hash, &identity, sizeof identity), &process, sizeof process);
}

static struct edge edge_find(const struct check *check)
{
    struct edge edge;
    char reading[VERDICT_PATH];
    bool unpickling = check->subject.origin == ORIGIN_UNPICKLER && guard_file_being_read(reading, sizeof reading);
    edges_find(check->path, check->real, &check->model, unpickling ? reading : NULL, check->frames, check->frame_count,
               &edge);
    return edge;
}

/* Of the first load of each model that nothing but the program's own code led to. */
static bool naming_look(const struct check *check, const struct edge *edge, struct naming *naming)
{
    static uint64_t hashes[256];
    static struct text_seen looked = {hashes, 256, 0};
    long process = raw_getpid();
    if (edge->parent[0] || !check->model.id[0] ||
        !text_first_seen(&looked,
                         text_hash_bytes(text_hash(TEXT_HASH_START, check->model.id), &process, sizeof process)))
        return false;
    naming_find(&check->model, check->path, check->frames, check->frame_count, naming);
    return true;
}

static void take_drift(const struct drift *drift, struct record *record)
{
    record->rule = drift->rule;
    record->severity = "high";
    record->effect = record->name = record->arguments = NULL;
    record->locked = true;
    record->locked_sha256 = drift->sha256;
    record->locked_revision = drift->revision;
    record->target = drift->target[0] ? drift->target : NULL;
    record->why = drift->clause;
}

/* In front of the load's own record `load`, which may say something worse. */
static void record_drift(const struct drift *drift, struct record load)
{
    load.event = "drift";
    load.decision = DECISION_DENY;
    take_drift(drift, &load);
    record_write(&load);
}

static bool record_load(struct check *check, const struct edge *edge)
{
    const struct verdict *verdict = &check->verdict;
    uint64_t hash = load_hash(check, edge);
    if (decision_of(check) != DECISION_DENY && text_was_seen(&loads_told, hash))
        return true;
    struct naming naming;
    bool looked = naming_look(check, edge, &naming);
    char ref[512];
    bool asked = check->model.revision[0] && edges_ref(check->model.id, ref);
    struct record record = {
        .event = "load",
        .decision = decision_of(check),
        .rule = verdict->rule,
        .severity = verdict->severity,
        .effect = verdict->rule ? effect_kind_name(verdict->effect) : NULL,
        .name = verdict->name[0] ? verdict->name : NULL,
        .arguments = verdict->arguments[0] ? verdict->arguments : NULL,
        .path = check->path,
        .real = strcmp(check->real, check->path) ? check->real : NULL,
        .format = verdict->format,
        .size = check->status.st_size,
        .sha256 = verdict->sha256[0] ? verdict->sha256 : NULL,
        .model = &check->model,
        .parent = edge->parent[0] ? edge->parent : NULL,
        .from = edge->from[0] ? edge->from : NULL,
        .edge = edge_kind_name(edge->kind),
        .revision = asked ? ref : NULL,
        .naming = looked ? &naming : NULL,
        .origin = check->subject.origin,
        .frames = check->frames,
        .frame_count = check->frame_count,
        .native = decision_of(check) == DECISION_DENY,
        .why = verdict->clause[0] ? verdict->clause : verdict->why,
    };
    if (check->drift.rule)
        record_drift(&check->drift, record);
    if (check->new_edge.rule)
        record_drift(&check->new_edge, record);
    if (only_drifted(check))
        take_drift(&check->drift, &record);
    bool written = record_write(&record);
    if (written)
        text_remember(&loads_told, hash);
    return written;
}

/* What else there was to say about the file: one record a finding, the worst one stands in the load's own record. */
static void record_findings(struct check *check)
{
    for (size_t i = 0; i < check->judged.count; i++) {
        const struct finding *finding = &check->judged.findings[i];
        const struct effect *effect = &finding->effect;
        char arguments[512], clause[512], id[512];
        effect_render_arguments(effect, arguments, sizeof arguments);
        policy_describe(effect, clause, sizeof clause);
        const char *target = finding->edge ? finding_target(finding) : NULL;
        enum edge_kind kind = effect->kind == EFFECT_CALL ? EDGE_PICKLED : EDGE_DECLARED;
        bool pinned = effect_revision_pinned(effect->revision);
        bool leads = target && edges_target(target, check->path, &check->model, id);
        if (target)
            edges_note(target, check->path, &check->model, kind);
        if (finding->file)
            edges_note_file(effect->name, check->path, &check->model);
        struct record record = {
            .event = effect_kind_name(effect->kind),
            .decision = finding->judgement.decision,
            .rule = finding->judgement.rule,
            .severity = finding->judgement.severity,
            .effect = effect_kind_name(effect->kind),
            .name = effect->kind == EFFECT_DEPEND && target ? target : effect->name,
            .arguments = check_has_arguments(effect) ? arguments : NULL,
            .path = check->path,
            .format = effect->format,
            .size = check->status.st_size,
            .model = &check->model,
            .edge = finding->edge || finding->file ? edge_kind_name(kind) : NULL,
            .field = effect->field,
            .target = leads ? id : NULL,
            .revision = effect->revision,
            .pinned = effect->kind == EFFECT_DEPEND ? &pinned : NULL,
            .origin = check->subject.origin,
            .frames = check->frames,
            .frame_count = check->frame_count,
            .why = clause,
        };
        record_write(&record);
    }
}

static void say_denied(struct check *check)
{
    const struct verdict *verdict = &check->verdict;
    check_walk(check);
    struct say_denial denial = {
        .what = check->path,
        .clause = only_drifted(check) ? check->drift.clause : verdict->clause,
        .rule = only_drifted(check) ? check->drift.rule : verdict->rule,
        .frames = check->frames,
        .frame_count = check->frame_count,
        .would = check->mode == MODE_AUDIT,
        .drift = only_drifted(check),
        .effect = verdict->attack ? NULL : effect_kind_name(verdict->effect),
        .name = verdict->name,
        .model = check->model.id,
        .revision = check->model.revision,
    };
    say_denial(&denial);
}

/* False when a record that the policy requires could not be written. */
static bool record_all(struct check *check, bool fresh)
{
    if (!record_wanted())
        return true;
    check_walk(check);
    struct edge edge = edge_find(check);
    if (fresh)
        record_findings(check);
    if (__atomic_exchange_n(&tally.unanswered, 0, __ATOMIC_RELAXED)) {
        struct record record = {.event = "error",
                                .decision = DECISION_WARN,
                                .path = check->path,
                                .size = -1,
                                .origin = check->subject.origin,
                                .frames = check->frames,
                                .frame_count = check->frame_count,
                                .why = "the program was denied a load before, swallowed that, and goes on"};
        record_write(&record);
    }
    if (record_load(check, &edge) || check->mode == MODE_AUDIT || !check->policy || !policy_log_required(check->policy))
        return true;
    say_fault("denied, because the policy requires records and they cannot be written: ", check->path, 0);
    return false;
}

bool check_conclude(struct check *check, bool fresh)
{
    enum decision decision = decision_of(check);
    bool enforce = check->mode != MODE_AUDIT;
    tally_add(&tally.judged);
    bool may = record_all(check, fresh);
    if (decision == DECISION_WARN)
        tally_add(&tally.warned);
    if (decision != DECISION_DENY)
        return (!check->policy || phase_admits(check->policy, &check->model, check->path)) && may;
    tally_add(&tally.denied);
    say_denied(check);
    if (enforce)
        tally_add(&tally.unanswered);
    return !enforce;
}

bool check_may_be_of_model(const char *path)
{
    struct model_identity identity;
    if (!path || !record_wanted())
        return false;
    edges_note_ref(path);
    return !strstr(path, "/__pycache__/") && (model_in_cache(path, &identity) || edges_may_name(path));
}

bool check_conclude_plain(struct check *check)
{
    if (!check->policy || !check_may_be_of_model(check->path))
        return true;
    struct edge edge;
    edges_find(check->path, check->real, &(struct model_identity){0}, NULL, NULL, 0, &edge);
    if (!model_in_cache(check->path, &check->model)) {
        if (edge.kind != EDGE_DECLARED)
            return true;
        model_identify(check->path, &check->model);
    }
    return record_all(check, false);
}
