/* What becomes of a judgement: counts, records, lines for people. */
#define _GNU_SOURCE
#include "check.h"

#include "asker.h"
#include "raw.h"
#include "say.h"
#include "tally.h"

#include <string.h>

static void walk_once(struct check *check)
{
    if (!check->walked)
        check->frame_count = frames_walk(check->frames, RECORD_FRAMES);
    if (!check->walked && check->subject.origin == ORIGIN_UNKNOWN)
        check->subject.origin = asker_origin(check->frames, check->frame_count);
    check->walked = true;
}

static bool record_load(struct check *check, enum decision decision)
{
    const struct verdict *verdict = &check->verdict;
    if (!record_wanted())
        return true;
    walk_once(check);
    struct record record = {
        .event = "load",
        .decision = decision,
        .rule = verdict->rule,
        .severity = verdict->severity,
        .effect = verdict->rule ? effect_kind_name(verdict->effect) : NULL,
        .name = verdict->name[0] ? verdict->name : NULL,
        .arguments = verdict->arguments[0] ? verdict->arguments : NULL,
        .path = check->path,
        .format = verdict->format,
        .size = check->status.st_size,
        .model = &check->model,
        .edge = "observed",
        .origin = check->subject.origin,
        .frames = check->frames,
        .frame_count = check->frame_count,
        .native = decision == DECISION_DENY,
        .why = verdict->clause[0] ? verdict->clause : verdict->why,
    };
    return record_write(&record);
}

/* What else there was to say about the file: one record a finding, the worst one stands in the load's own record. */
static void record_findings(struct check *check)
{
    if (!record_wanted() || !check->judged.count)
        return;
    walk_once(check);
    for (size_t i = 0; i < check->judged.count; i++) {
        const struct finding *finding = &check->judged.findings[i];
        const struct effect *effect = &finding->effect;
        char arguments[512], clause[512];
        effect_render_arguments(effect, arguments, sizeof arguments);
        policy_describe(effect, clause, sizeof clause);
        const char *target = finding->edge ? finding_target(finding) : NULL;
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
            .edge = !finding->edge ? NULL : effect->kind == EFFECT_CALL ? "pickled" : "declared",
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
    walk_once(check);
    struct say_denial denial = {
        .what = check->path,
        .clause = verdict->clause,
        .rule = verdict->rule,
        .frames = check->frames,
        .frame_count = check->frame_count,
        .would = check->mode == MODE_AUDIT,
        .effect = verdict->attack ? NULL : effect_kind_name(verdict->effect),
        .name = verdict->name,
        .model = check->model.id,
        .revision = check->model.revision,
    };
    say_denial(&denial);
}

bool check_conclude(struct check *check, bool fresh)
{
    enum decision decision = check->verdict.decision;
    bool enforce = check->mode != MODE_AUDIT;
    tally_add(&tally.judged);
    if (fresh)
        record_findings(check);
    unsigned long swallowed = __atomic_exchange_n(&tally.unanswered, 0, __ATOMIC_RELAXED);
    if (swallowed && record_wanted()) {
        walk_once(check);
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
    bool written = record_load(check, decision);
    if (decision == DECISION_WARN)
        tally_add(&tally.warned);
    if (decision != DECISION_DENY) {
        if (written || !enforce || !check->policy || !policy_log_required(check->policy))
            return true;
        say_fault("denied, because the policy requires records and they cannot be written: ", check->path, 0);
        return false;
    }
    tally_add(&tally.denied);
    say_denied(check);
    if (enforce)
        tally_add(&tally.unanswered);
    return !enforce;
}
