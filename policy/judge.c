/* The judge: an effect and its circumstances meet the rules in their order. */
#include "rules.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One name of an effect before the rules. */
struct question {
    const struct policy *policy;
    const struct subject *subject;
    enum effect_kind kind;
    const char *name;
    bool assume_arguments; /* the callee's own call is judged with its arguments elsewhere: take them as fitting */
    enum tier from;        /* whose rules count: from these on */
};

struct answer {
    const struct rule *rule;
    enum decision decision;
    bool arguments_mattered; /* a rule looked at more than name and circumstances of the scan */
};

static bool list_matches(const cJSON *list, const char *text, char separator)
{
    if (text == NULL)
        return false;
    for (const cJSON *item = list_first(list); item != NULL; item = list_next(list, item)) {
        if (policy_glob(item->valuestring, text, separator))
            return true;
    }
    return false;
}

/* "@bytes", "@name", ...: any argument of that kind. */
static bool kind_matches(const char *word, enum argument_kind kind)
{
    static const char *const words[] = {
        [ARGUMENT_UNKNOWN] = "@unknown", [ARGUMENT_NONE] = "@none",     [ARGUMENT_BOOL] = "@bool",
        [ARGUMENT_NUMBER] = "@number",   [ARGUMENT_STRING] = "@string", [ARGUMENT_BYTES] = "@bytes",
        [ARGUMENT_NAME] = "@name",       [ARGUMENT_OBJECT] = "@object", [ARGUMENT_SEQUENCE] = "@sequence",
    };
    return strcmp(word, words[kind]) == 0 || (kind != ARGUMENT_UNKNOWN && strcmp(word, "@known") == 0);
}

/* "*" stands for any argument that is there. A text needs a text that is known in full: what was cut may go on
 * differently. */
static bool argument_matches(const cJSON *pattern, const struct argument *argument)
{
    for (const cJSON *choice = list_first(pattern); choice != NULL; choice = list_next(pattern, choice)) {
        if (strcmp(choice->valuestring, "*") == 0 || kind_matches(choice->valuestring, argument->kind))
            return true;
        if (choice->valuestring[0] == '@' || argument->text == NULL ||
            strlen(argument->text) >= LIMIT_ARGUMENT_TEXT - 1)
            continue;
        switch (argument->kind) {
        case ARGUMENT_BOOL:
        case ARGUMENT_NUMBER:
        case ARGUMENT_STRING:
            if (policy_glob(choice->valuestring, argument->text, '/'))
                return true;
            break;
        case ARGUMENT_NAME:
            if (policy_glob(choice->valuestring, argument->text, '.'))
                return true;
            break;
        case ARGUMENT_UNKNOWN:
        case ARGUMENT_NONE:
        case ARGUMENT_BYTES:
        case ARGUMENT_OBJECT:
        case ARGUMENT_SEQUENCE:
            break;
        }
    }
    return false;
}

static bool argument_is_unknown(const struct argument *argument)
{
    return argument->kind == ARGUMENT_UNKNOWN ||
           (argument->text != NULL && strlen(argument->text) >= LIMIT_ARGUMENT_TEXT - 1);
}

/* Do the arguments fit the rule? What cannot be told fits a denial and nothing else. */
static bool arguments_match(const struct rule *rule, const struct effect *effect)
{
    bool denies = rule->then == DECISION_DENY;
    size_t position = 0;
    if (!effect->argument_known)
        return denies;
    for (const cJSON *pattern = rule->args->child; pattern != NULL; pattern = pattern->next, position++) {
        if (cJSON_IsString(pattern) && strcmp(pattern->valuestring, "**") == 0 && pattern->next == NULL)
            return true;
        if (position >= effect->argument_count) {
            if (!cJSON_IsNull(pattern))
                return false;
            continue;
        }
        if (cJSON_IsNull(pattern))
            return false;
        const struct argument *argument = &effect->arguments[position];
        if (!argument_matches(pattern, argument) && !(denies && argument_is_unknown(argument)))
            return false;
    }
    return position >= effect->argument_count;
}

static bool content_matches(const struct rule *rule, const struct subject *subject)
{
    char hex[65];
    if (rule->sha256 == NULL)
        return true;
    return subject->sha256 != NULL && subject->sha256(subject->sha256_context, hex) && strcmp(hex, rule->sha256) == 0;
}

static bool equal(const char *wanted, const char *found)
{
    return wanted == NULL || (found != NULL && strcmp(wanted, found) == 0);
}

/* The cheap questions first; the file's hash, which may take seconds, last. */
static bool rule_matches(const struct rule *rule, const struct question *question, const char *pattern,
                         struct answer *answer)
{
    const struct subject *subject = question->subject;
    const struct effect *effect = subject->effect;
    bool named = (rule->effects >> question->kind & 1) != 0;
    if (!named && !(rule->has_otherwise && effect_is_callable(question->kind)))
        return false;
    if ((rule->moments >> subject->moment & 1) == 0 || (rule->origins >> subject->origin & 1) == 0 ||
        (rule->homes >> subject->home & 1) == 0 || (rule->objects >> subject->object & 1) == 0)
        return false;
    if (rule->tier < question->from)
        return false;
    if (pattern != NULL && !policy_glob(pattern, question->name, effect_separator(question->kind)))
        return false;
    if ((rule->paths != NULL && !list_matches(rule->paths, subject->path, '/')) ||
        (rule->models != NULL && !list_matches(rule->models, subject->model, '/')) ||
        !equal(rule->revision, subject->revision) ||
        (rule->process != NULL && (subject->process == NULL || !policy_glob(rule->process, subject->process, '/'))))
        return false;
    if (rule->expires != 0 && (int64_t)time(NULL) >= rule->expires)
        return false;
    answer->arguments_mattered |= rule->args != NULL || rule->formats != NULL;
    if (rule->formats != NULL && !list_matches(rule->formats, effect->format, '/'))
        return false;
    if (rule->args != NULL && named && !arguments_match(rule, effect) &&
        !(question->assume_arguments && rule->then == DECISION_ALLOW))
        return false;
    if (!content_matches(rule, subject))
        return false;
    answer->rule = rule;
    answer->decision = named ? rule->then : rule->otherwise;
    return true;
}

/* Nothing decides: only possible for a built-in policy that lacks a last rule for this kind. Unknown is never clean. */
static const struct rule undecided = {.id = "undecided", .why = "no rule decides this", .severity = "high"};

static struct answer first_match(const struct question *question)
{
    struct answer answer = {.rule = &undecided, .decision = DECISION_DENY};
    const struct rule_index *index = &question->policy->index;
    struct index_hits hits = index_find(index, question->kind, question->name);
    const struct index_entry *entry;
    while ((entry = index_next(index, &hits)) != NULL) {
        if (rule_matches(&question->policy->rules[entry->rule], question, entry->pattern, &answer))
            break;
    }
    return answer;
}

/* Under a locked site policy, what the user's rules loosen stays denied where the site denies it, or where the built-in
 * policy denies that very name (not merely names that nobody lists). */
static struct answer ask(struct question *question)
{
    struct answer answer = first_match(question);
    if (!question->policy->locked || answer.rule->tier != TIER_USER || answer.decision == DECISION_DENY)
        return answer;
    question->from = TIER_SITE;
    struct answer firm = first_match(question);
    question->from = TIER_USER;
    bool stands = firm.rule->tier == TIER_SITE || firm.rule->match != NULL;
    return firm.decision == DECISION_DENY && stands ? firm : answer;
}

/* The worse of two answers. Between equal ones: of two permissions the one that still has to be settled, of two
 * refusals the one that knows the name. */
static struct answer worse(struct answer left, struct answer right)
{
    bool settle = left.decision == DECISION_DENY ? left.rule->unlisted : right.rule->unlisted;
    bool take_right = right.decision != left.decision ? right.decision > left.decision : settle;
    struct answer answer = take_right ? right : left;
    answer.arguments_mattered = left.arguments_mattered || right.arguments_mattered;
    return answer;
}

static struct answer ask_names(struct question *question, const char *name, const char *alias)
{
    question->name = name;
    struct answer answer = ask(question);
    if (alias == NULL)
        return answer;
    question->name = alias;
    return worse(answer, ask(question));
}

/* "@listed" in a "holds" list: names that a rule lets appear, by name; "@inert": by a rule that calls them so. */
static bool is_listed(const struct question *question, const char *name, bool inert)
{
    struct question appearance = *question;
    appearance.kind = EFFECT_IMPORT;
    struct answer answer = ask_names(&appearance, name, NULL);
    return answer.decision == DECISION_ALLOW && !answer.rule->unlisted && (answer.rule->inert || !inert);
}

static bool may_stand(const struct question *question, const cJSON *list, const char *name)
{
    for (const cJSON *item = list_first(list); item != NULL; item = list_next(list, item)) {
        const char *wanted = item->valuestring;
        bool inert = strcmp(wanted, "@inert") == 0;
        if (inert || strcmp(wanted, "@listed") == 0 ? is_listed(question, name, inert) : policy_glob(wanted, name, '.'))
            return true;
    }
    return false;
}

static bool holds(const struct question *question, const struct rule *rule)
{
    const struct effect *effect = question->subject->effect;
    const cJSON *place = rule->holds != NULL ? rule->holds->child : NULL;
    for (; place != NULL; place = place->next) {
        bool here = strcmp(place->string, "*") == 0 || strtoul(place->string, NULL, 10) == effect->position;
        if (here && may_stand(question, place, effect->name) &&
            (effect->alias == NULL || may_stand(question, place, effect->alias)))
            return true;
    }
    return false;
}

/* A name handed to the callable `via`: does a rule that lets `via` be called (or created) say that it may
 * stand there? */
static bool ask_holder(const struct question *question, struct answer *answer)
{
    static const enum effect_kind ways[] = {EFFECT_CALL, EFFECT_CREATE};
    const struct effect *effect = question->subject->effect;
    for (unsigned way = 0; way < 2; way++) {
        struct question holder = *question;
        holder.kind = ways[way];
        holder.assume_arguments = true;
        struct answer found = ask_names(&holder, effect->via, NULL);
        if (found.decision != DECISION_DENY && holds(question, found.rule)) {
            *answer = found;
            answer->arguments_mattered = true;
            return true;
        }
    }
    return false;
}

/* Does the call load another model? Whoever allows or denies it says nothing about that, so that it stays an edge. */
static bool is_edge(struct question *question, const struct rule *rule)
{
    const struct effect *effect = question->subject->effect;
    if (rule->edge || rule->tier == TIER_BUILT_IN || question->kind != EFFECT_CALL)
        return rule->edge;
    question->from = TIER_BUILT_IN;
    return ask_names(question, effect->name != NULL ? effect->name : "", effect->alias).rule->edge;
}

void policy_judge(const struct policy *policy, const struct subject *subject, struct judgement *judgement)
{
    const struct effect *effect = subject->effect;
    struct question question = {.policy = policy, .subject = subject, .kind = effect->kind};
    const char *name = effect->name != NULL ? effect->name : "";
    struct answer answer = ask_names(&question, name, effect->alias);
    if (effect->via != NULL && effect_is_callable(effect->kind)) {
        bool settled = answer.decision == DECISION_ALLOW && !answer.rule->unlisted;
        if (!settled && !ask_holder(&question, &answer))
            answer.arguments_mattered = true;
    }
    const struct rule *rule = answer.rule;
    *judgement = (struct judgement){
        .decision = answer.decision,
        .rule = rule->id,
        .severity = rule->severity,
        .why = rule->why,
        .attack = rule->attack && answer.decision == DECISION_DENY,
        .edge = is_edge(&question, rule),
        .unlisted = rule->unlisted,
        .whatever_arguments = !answer.arguments_mattered,
    };
}
