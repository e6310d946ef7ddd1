#include "judge.h"

#include "scratch.h"

#include <string.h>

struct judging {
    const struct judge_request *request;
    struct judged *judged;
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Would a person read the same twice? The offset does not count. */
static bool finding_same(const struct finding *finding, const struct effect *effect, const struct judgement *judgement)
{
    const struct effect *kept = &finding->effect;

    if (kept->kind != effect->kind || finding->judgement.decision != judgement->decision ||
        !same_text(finding->judgement.rule, judgement->rule) || !same_text(kept->name, effect->name) ||
        !same_text(kept->member, effect->member) || !same_text(kept->field, effect->field) ||
        !same_text(kept->revision, effect->revision) || kept->argument_count != effect->argument_count)
        return false;
    for (size_t i = 0; i < kept->argument_count; i++) {
        if (kept->arguments[i].kind != effect->arguments[i].kind ||
            !same_text(kept->arguments[i].text, effect->arguments[i].text))
            return false;
    }
    return true;
}

/* A copy of `text` in the finding's own room; NULL when there is none left or `text` is NULL. */
static const char *text_keep(struct finding *finding, size_t *used, const char *text)
{
    if (!text)
        return NULL;
    size_t length = strlen(text);
    if (length >= JUDGED_TEXT - *used)
        return NULL;
    char *copy = finding->text + *used;
    memcpy(copy, text, length + 1);
    *used += length + 1;
    return copy;
}

static void finding_fill(struct finding *finding, const struct effect *effect, const struct judgement *judgement,
                         bool edge)
{
    size_t used = 0;

    finding->effect = *effect;
    finding->judgement = *judgement;
    finding->edge = edge;
    finding->file = effect->kind == EFFECT_READ;
    finding->effect.name = text_keep(finding, &used, effect->name);
    finding->effect.alias = text_keep(finding, &used, effect->alias);
    finding->effect.revision = text_keep(finding, &used, effect->revision);
    finding->effect.field = text_keep(finding, &used, effect->field);
    finding->effect.via = text_keep(finding, &used, effect->via);
    finding->effect.format = text_keep(finding, &used, effect->format);
    finding->effect.member = text_keep(finding, &used, effect->member);
    finding->effect.detail = text_keep(finding, &used, effect->detail);
    size_t count = effect->argument_count < LIMIT_ARGUMENTS ? effect->argument_count : LIMIT_ARGUMENTS;
    for (size_t i = 0; i < count; i++) {
        finding->arguments[i].kind = effect->arguments[i].kind;
        finding->arguments[i].text = text_keep(finding, &used, effect->arguments[i].text);
        if (effect->arguments[i].text && !finding->arguments[i].text)
            finding->arguments[i].kind = ARGUMENT_UNKNOWN;
    }
    finding->effect.arguments = finding->arguments;
    finding->effect.argument_count = count;
}

/* How much it matters that a finding is kept: an edge that is allowed least. */
static unsigned weight(enum decision decision, bool attack)
{
    return (unsigned)decision * 2 + attack;
}

/* Room for a finding of this weight: a free one, or the lightest of those that weigh less. */
static struct finding *finding_room(struct judged *judged, unsigned wanted)
{
    struct finding *lightest = NULL;
    unsigned least = wanted;

    if (judged->count < JUDGED_FINDINGS)
        return &judged->findings[judged->count++];
    judged->omitted++;
    for (size_t i = 0; i < judged->count; i++) {
        const struct judgement *kept = &judged->findings[i].judgement;
        if (weight(kept->decision, kept->attack) < least) {
            least = weight(kept->decision, kept->attack);
            lightest = &judged->findings[i];
        }
    }
    return lightest;
}

static enum scan_answer judge_effect(void *context, const struct effect *effect)
{
    struct judging *judging = context;
    struct judged *judged = judging->judged;
    struct subject subject = judging->request->subject;
    struct judgement judgement = {0};

    if ((effect->kind == EFFECT_READ || effect->kind == EFFECT_WRITE) && judging->request->names_file)
        judging->request->names_file(judging->request->names_context, effect);
    subject.effect = effect;
    policy_judge(judging->request->policy, &subject, &judgement);
    if (effect->attribute && judgement.unlisted && judging->request->settle_attribute)
        judging->request->settle_attribute(judging->request->settle_context, &subject, &judgement);
    if (judgement.decision > judged->worst)
        judged->worst = judgement.decision;
    judged->unlisted |= judgement.unlisted;

    bool edge = effect->kind == EFFECT_DEPEND || (effect->kind == EFFECT_CALL && judgement.edge);
    /* An array may lie in a thousand files: they leave room for what matters more. */
    bool file = effect->kind == EFFECT_READ && judged->count < JUDGED_FINDINGS / 2;
    if (judgement.decision != DECISION_ALLOW || edge || file) {
        for (size_t i = 0; i < judged->count; i++)
            if (finding_same(&judged->findings[i], effect, &judgement))
                return judgement.whatever_arguments && !edge ? SCAN_SETTLED : SCAN_GO_ON;
        unsigned wanted = weight(judgement.decision, judgement.attack);
        struct finding *room = finding_room(judged, wanted);
        if (room)
            finding_fill(room, effect, &judgement, edge);
        else if (wanted == weight(DECISION_DENY, true))
            return SCAN_STOP; /* nothing further can change the verdict or its reasons */
    }
    /* Edges are told apart by their target, which is an argument. */
    return judgement.whatever_arguments && !edge ? SCAN_SETTLED : SCAN_GO_ON;
}

/* A verdict on a scan that could not be finished. */
static void judge_unknown(struct judging *judging, const char *token, const char *detail)
{
    struct effect effect = {.kind = EFFECT_OPAQUE, .name = token, .detail = detail, .format = "unknown"};

    if (judging->judged->scan.format_count > 0)
        effect.format = judging->judged->scan.formats[judging->judged->scan.format_count - 1];
    (void)judge_effect(judging, &effect);
}

void judge_source(const struct judge_request *request, struct judged *judged)
{
    struct judging judging = {.request = request, .judged = judged};
    struct scan_request scan = {
        .source = request->source,
        .path = request->subject.path,
        .in_model_root = request->in_model_root,
        .beside = request->beside,
        .thorough = request->subject.moment == MOMENT_REST,
        .memory = {.take = scratch_take, .take_any = scratch_take_any, .give = scratch_give},
        .sink = judge_effect,
        .sink_context = &judging,
    };

    scan_run(&scan, &judged->scan);
    if (judged->scan.status == SCAN_MEMORY)
        judge_unknown(&judging, "memory", "there was no memory to analyse it");
    else if (judged->scan.status == SCAN_IO && judged->scan.format_count > 0)
        judge_unknown(&judging, "unreadable", "reading it failed");
}

const char *finding_target(const struct finding *finding)
{
    const struct effect *effect = &finding->effect;

    if (effect->kind == EFFECT_DEPEND)
        return effect->name;
    for (size_t i = 0; i < effect->argument_count; i++)
        if (effect->arguments[i].kind == ARGUMENT_STRING)
            return effect->arguments[i].text;
    return NULL;
}
