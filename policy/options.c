/* What a policy sets beside its rules: limits of the live ring, and the libraries' own switches. */
#include "rules.h"

#include <string.h>

bool check_limits(const struct compiler *compiler, const cJSON *node)
{
    if (!cJSON_IsObject(node))
        return fault_at_value(compiler, node, "the value of", node->string, " is an object");
    for (const cJSON *limit = node->child; limit != NULL; limit = limit->next) {
        /* The caps of the analyzer are compiled in; a policy that names one must not believe that it changed it. */
        if (strcmp(limit->string, "quiet_seconds") != 0)
            return fault_at_key(compiler, limit, "no limit that a policy can set is called", limit->string, NULL);
        if (!cJSON_IsNumber(limit) || limit->valuedouble < 0 || limit->valuedouble > LIMIT_QUIET_SECONDS ||
            limit->valuedouble != limit->valueint)
            return fault_at_value(compiler, limit, "the value of", limit->string,
                                  " is a whole number of seconds, up to a day");
    }
    return true;
}

/* {"why", and "value" or "report": true}: makes a variable known. */
static bool check_switch(const struct compiler *compiler, const cJSON *node)
{
    const cJSON *value = NULL, *report = NULL, *why = NULL;
    for (const cJSON *member = node->child; member != NULL; member = member->next) {
        bool is_value = strcmp(member->string, "value") == 0, is_report = strcmp(member->string, "report") == 0;
        if (!is_value && !is_report && strcmp(member->string, "why") != 0)
            return fault_at_key(compiler, member, "unknown key", member->string,
                                "; a switch has \"value\" or \"report\", and \"why\"");
        if (is_report ? !cJSON_IsTrue(member) : !cJSON_IsString(member))
            return fault_at_value(compiler, member, "the value of", member->string,
                                  is_report ? " is true" : " is a string");
        *(is_value ? &value : is_report ? &report : &why) = member;
    }
    if (why != NULL && (value == NULL) != (report == NULL))
        return true;
    return fault_at_value(compiler, node, "the switch", node->string, " has \"value\" or \"report\", and \"why\"");
}

bool check_switches(const struct compiler *compiler, const cJSON *node)
{
    if (!cJSON_IsObject(node))
        return fault_at_value(compiler, node, "the value of", node->string, " is an object");
    for (const cJSON *each = node->child; each != NULL; each = each->next) {
        if (each->string[0] == '\0' || strchr(each->string, '=') != NULL)
            return fault_at_key(compiler, each, "no variable can be called", each->string, NULL);
        if (cJSON_IsObject(each) ? !check_switch(compiler, each)
                                 : !cJSON_IsBool(each) && !fault_at_value(compiler, each, "the value of", each->string,
                                                                          " is true or false"))
            return false;
    }
    return true;
}

static const cJSON *switches_of(const cJSON *root)
{
    const cJSON *switches = cJSON_GetObjectItemCaseSensitive(root, "switches");
    return switches != NULL ? switches->child : NULL;
}

/* Where it is made known, or NULL: by the later word, but under a locked site by the user only what nobody
 * else knows. */
static const cJSON *definition(const struct policy *policy, const char *variable)
{
    const cJSON *users = NULL;
    for (size_t number = 0; number < policy->document_count; number++) {
        const struct document *document = &policy->documents[number];
        const cJSON *switches = cJSON_GetObjectItemCaseSensitive(document->root, "switches");
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(switches, variable);
        if (!cJSON_IsObject(found))
            continue;
        if (!policy->locked || document->tier != TIER_USER)
            return found;
        users = users != NULL ? users : found;
    }
    return users;
}

bool check_switch_names(const struct policy *policy, const struct compiler *compilers, size_t count)
{
    for (size_t number = 0; number < count; number++)
        for (const cJSON *each = switches_of(compilers[number].root); each != NULL; each = each->next) {
            const cJSON *known = definition(policy, each->string);
            if (cJSON_IsObject(each))
                continue;
            if (known == NULL)
                return fault_at_key(&compilers[number], each, "no switch is called", each->string,
                                    "; say \"value\" and \"why\"");
            if (cJSON_GetObjectItemCaseSensitive(known, "value") == NULL)
                return fault_at_key(&compilers[number], each, "the switch", each->string, " is only reported, not set");
        }
    return true;
}

/* The last document is the built-in one. Under a locked site what it turned on stays on. */
static bool is_on(const struct policy *policy, const char *variable)
{
    bool on = false;
    for (size_t number = policy->document_count; number-- > 0;) {
        const cJSON *switches = cJSON_GetObjectItemCaseSensitive(policy->documents[number].root, "switches");
        const cJSON *said = cJSON_GetObjectItemCaseSensitive(switches, variable);
        if (cJSON_IsBool(said))
            on = cJSON_IsTrue(said) || (policy->locked && on);
    }
    return on;
}

static const char *text_of(const cJSON *node, const char *key)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(node, key);
    return text != NULL ? text->valuestring : NULL;
}

void policy_switches(const struct policy *policy, void (*visit)(void *context, const struct policy_switch *found),
                     void *context)
{
    for (size_t number = 0; number < policy->document_count; number++)
        for (const cJSON *each = switches_of(policy->documents[number].root); each != NULL; each = each->next) {
            if (!cJSON_IsObject(each) || definition(policy, each->string) != each)
                continue;
            struct policy_switch found = {each->string, text_of(each, "value"), text_of(each, "why")};
            if (found.value == NULL || is_on(policy, each->string))
                visit(context, &found);
        }
}
