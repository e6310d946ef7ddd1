/* Looking at a policy instead of asking it. */
#include "rules.h"

#include <string.h>

struct policy_text policy_built_in(void)
{
    return (struct policy_text){.name = "built-in policy",
                                .text = policy_default_json,
                                .length = (size_t)(policy_default_json_end - policy_default_json)};
}

/* The effect that both rules are about, or EFFECT_KINDS; the gravest, as a rule for calls lets the name appear too. */
static enum effect_kind common_effect(const struct rule *front, const struct rule *behind)
{
    unsigned both = (unsigned)(front->effects & behind->effects);

    return both != 0 ? (enum effect_kind)(31 - __builtin_clz(both)) : EFFECT_KINDS;
}

/* A name or glob of `behind` that `front` decides as well, or NULL. */
static const char *common_pattern(const struct rule *front, const struct rule *behind, char separator)
{
    for (const cJSON *denied = list_first(behind->match); denied != NULL; denied = list_next(behind->match, denied)) {
        if (front->match == NULL)
            return denied->valuestring;
        for (const cJSON *item = list_first(front->match); item != NULL; item = list_next(front->match, item)) {
            if (policy_glob(item->valuestring, denied->valuestring, separator))
                return denied->valuestring;
            if (policy_glob(denied->valuestring, item->valuestring, separator))
                return item->valuestring;
        }
    }
    return NULL;
}

/* Some built-in rules have one id: an attack by name, and what is merely denied with its whole module. */
static bool said_before(const struct policy *policy, uint32_t front, uint32_t behind, const char *pattern,
                        char separator)
{
    for (uint32_t i = front + 1; i < behind; i++) {
        const struct rule *rule = &policy->rules[i];
        if (rule->tier != TIER_BUILT_IN || rule->then != DECISION_DENY || rule->match == NULL ||
            strcmp(rule->id, policy->rules[behind].id) != 0)
            continue;
        const char *same = common_pattern(&policy->rules[front], rule, separator);
        if (same != NULL && strcmp(same, pattern) == 0)
            return true;
    }
    return false;
}

void policy_shadows(const struct policy *policy, void (*visit)(void *context, const struct policy_shadow *shadow),
                    void *context)
{
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct rule *front = &policy->rules[i];
        if (front->tier == TIER_BUILT_IN || front->then == DECISION_DENY)
            continue;
        for (uint32_t j = i + 1; j < policy->rule_count; j++) {
            const struct rule *behind = &policy->rules[j];
            if (behind->tier != TIER_BUILT_IN || behind->then != DECISION_DENY || behind->match == NULL)
                continue;
            struct policy_shadow shadow = {
                .rule = front->id, .denial = behind->id, .effect = common_effect(front, behind)};
            if (shadow.effect == EFFECT_KINDS)
                continue;
            char separator = effect_separator(shadow.effect);
            shadow.pattern = common_pattern(front, behind, separator);
            shadow.narrowed = front->args != NULL || front->paths != NULL || front->models != NULL ||
                              front->formats != NULL || front->revision != NULL || front->sha256 != NULL ||
                              front->process != NULL || front->expires != 0;
            if (shadow.pattern != NULL && !said_before(policy, i, j, shadow.pattern, separator))
                visit(context, &shadow);
        }
    }
}
