/* Loading: texts in, one immutable policy out. */
#include "rules.h"
#include "text.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

static const char *const top_keys[] = {"$schema", "version",   "mode",     "locked",     "log_required", "rules",
                                       "ipc",     "exchanges", "wrappers", "caches",     "services",     "restorers",
                                       "loaders", "limits",    "switches", "no_deepbind", "starters",
                                       "compilers"};
#define TOP_KEYS (sizeof top_keys / sizeof top_keys[0])

static const char *top_key_word(unsigned number)
{
    return top_keys[number];
}
static const struct vocabulary top_words = {top_key_word, TOP_KEYS};

/* The mode that a text asks for, or MODE_UNSET. */
static enum policy_mode document_mode(const cJSON *root)
{
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(root, "mode");
    return cJSON_IsString(mode) ? (enum policy_mode)(MODE_ENFORCE + words_find(&words_mode, mode->valuestring))
                                : MODE_UNSET;
}

static bool check_mode(const struct compiler *compiler, const cJSON *node)
{
    if (cJSON_IsString(node) && words_find(&words_mode, node->valuestring) >= 0)
        return true;
    return fault_at_value(compiler, node, "the value of", node->string, " is enforce, audit or off");
}

static bool check_caches(const struct compiler *compiler, const cJSON *node)
{
    if (!cJSON_IsObject(node))
        return fault_at_value(compiler, node, "the value of", node->string,
                              " is an object with \"paths\" and \"modules\"");
    for (const cJSON *member = node->child; member != NULL; member = member->next) {
        if (strcmp(member->string, "paths") != 0 && strcmp(member->string, "modules") != 0)
            return fault_at_key(compiler, member, "unknown key", member->string,
                                "; caches have \"paths\" and \"modules\"");
        if (!check_strings(compiler, member))
            return false;
    }
    return true;
}

static bool check_top(const struct compiler *compiler, const cJSON *member)
{
    const char *key = member->string;
    if (strcmp(key, "version") == 0) {
        if (cJSON_IsNumber(member) && member->valueint == 1 && member->valuedouble <= 1)
            return true;
        return fault_at_value(compiler, member, "this guard reads policies of version 1", NULL, NULL);
    }
    if (strcmp(key, "mode") == 0)
        return check_mode(compiler, member);
    if (strcmp(key, "locked") == 0 || strcmp(key, "log_required") == 0 || strcmp(key, "no_deepbind") == 0) {
        if (!cJSON_IsBool(member))
            return fault_at_value(compiler, member, "the value of", key, " is true or false");
        if (key[1] == 'o' && key[2] == 'c' && cJSON_IsTrue(member) && !compiler->text->site)
            return fault_at_value(compiler, member, "only the site's policy can be locked", NULL, NULL);
        return true;
    }
    if (strcmp(key, "rules") == 0)
        return cJSON_IsArray(member) || fault_at_value(compiler, member, "the value of", key, " is a list of rules");
    if (strcmp(key, "ipc") == 0 || strcmp(key, "exchanges") == 0 || strcmp(key, "wrappers") == 0 ||
        strcmp(key, "services") == 0 || strcmp(key, "restorers") == 0 || strcmp(key, "loaders") == 0 ||
        strcmp(key, "starters") == 0 || strcmp(key, "compilers") == 0)
        return check_strings(compiler, member);
    if (strcmp(key, "caches") == 0)
        return check_caches(compiler, member);
    if (strcmp(key, "limits") == 0)
        return check_limits(compiler, member);
    if (strcmp(key, "switches") == 0)
        return check_switches(compiler, member);
    if (strcmp(key, "$schema") == 0)
        return cJSON_IsString(member) || fault_at_value(compiler, member, "the value of", key, " is a string");
    const char *nearest = words_nearest(&top_words, key);
    char after[64];
    struct text text = text_into(after, sizeof after);
    if (nearest != NULL) {
        text_add(&text, "; did you mean \"");
        text_add(&text, nearest);
        text_add(&text, "\"?");
    }
    return fault_at_key(compiler, member, "unknown key", key, after);
}

static bool check_document(const struct compiler *compiler)
{
    if (cJSON_GetObjectItemCaseSensitive(compiler->root, "version") == NULL)
        return fault_at_value(compiler, compiler->root, "the policy does not say \"version\": 1", NULL, NULL);
    for (const cJSON *member = compiler->root->child; member != NULL; member = member->next) {
        if (!check_top(compiler, member))
            return false;
    }
    return true;
}

static bool no_memory(struct policy_fault *fault, const char *what)
{
    struct text text = text_into(fault->message, sizeof fault->message);
    text_add(&text, what);
    fault->name[0] = '\0';
    fault->line = fault->column = 0;
    return false;
}

/* "policy.json#3": for rules that have no id of their own. */
static void name_rules(struct policy *policy, const struct compiler *compiler, uint32_t first, char **ids)
{
    for (uint32_t number = first; number < policy->rule_count; number++) {
        if (policy->rules[number].id != NULL)
            continue;
        const char *slash = strrchr(compiler->text->name, '/');
        struct text text = text_into(*ids, strlen(compiler->text->name) + 16);
        text_add(&text, slash != NULL ? slash + 1 : compiler->text->name);
        text_add(&text, "#");
        text_add_number(&text, number - first + 1);
        policy->rules[number].id = *ids;
        *ids += text.length + 1;
    }
}

static bool compile_document(struct policy *policy, const struct compiler *compiler, char **ids)
{
    uint32_t first = policy->rule_count;
    const cJSON *rules = cJSON_GetObjectItemCaseSensitive(compiler->root, "rules");
    for (const cJSON *node = rules != NULL ? rules->child : NULL; node != NULL; node = node->next) {
        if (!rule_compile(compiler, node, &policy->rules[policy->rule_count]))
            return false;
        policy->rule_count++;
    }
    name_rules(policy, compiler, first, ids);
    return true;
}

/* Rules for names that nobody lists come after all that list names, whoever wrote them. Stable. */
static bool sort_unlisted(struct policy *policy)
{
    struct rule *sorted = malloc((policy->rule_count + 1) * sizeof *sorted);
    uint32_t count = 0;
    if (sorted == NULL)
        return false;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint32_t number = 0; number < policy->rule_count; number++) {
            if (policy->rules[number].unlisted == (pass == 1))
                sorted[count++] = policy->rules[number];
        }
    }
    free(policy->rules);
    policy->rules = sorted;
    return true;
}

/* Parses all texts, highest precedence first; the built-in one is the last. Sums up what has to be reserved. */
static bool parse_all(struct policy *policy, struct compiler *compilers, size_t count, size_t *rules, size_t *names)
{
    for (size_t number = 0; number < count; number++) {
        struct compiler *compiler = &compilers[number];
        cJSON *root = document_parse(compiler, POLICY_SHAPE);
        if (root == NULL)
            return false;
        policy->documents[policy->document_count++] = (struct document){root, compiler->tier};
        if (!check_document(compiler))
            return false;
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "rules");
        size_t size = list != NULL ? (size_t)cJSON_GetArraySize(list) : 0;
        *rules += size;
        *names += size * (strlen(compiler->text->name) + 16);
        if (*rules > LIMIT_RULES)
            return fault_at_value(compiler, list, "there are too many rules", NULL, NULL);
    }
    return true;
}

/* A locked site's mode may be tightened by the user, never lowered; otherwise the later word counts. */
static void take_settings(struct policy *policy, const struct compiler *compilers, size_t count)
{
    for (size_t number = count; number-- > 0;) {
        const cJSON *root = compilers[number].root;
        const cJSON *required = cJSON_GetObjectItemCaseSensitive(root, "log_required");
        enum policy_mode mode = document_mode(root);
        bool locked = policy->locked;
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "locked")))
            policy->locked = true;
        if (mode != MODE_UNSET && (!locked || mode < policy->mode))
            policy->mode = mode;
        if (policy->locked && policy->mode == MODE_UNSET)
            policy->mode = MODE_ENFORCE;
        if (required != NULL && (!locked || cJSON_IsTrue(required)))
            policy->log_required = cJSON_IsTrue(required) != 0;
        const cJSON *no_deepbind = cJSON_GetObjectItemCaseSensitive(root, "no_deepbind");
        if (no_deepbind != NULL && (!locked || cJSON_IsTrue(no_deepbind)))
            policy->no_deepbind = cJSON_IsTrue(no_deepbind) != 0;
        const cJSON *limits = cJSON_GetObjectItemCaseSensitive(root, "limits");
        const cJSON *quiet = cJSON_GetObjectItemCaseSensitive(limits, "quiet_seconds");
        if (quiet != NULL && !locked)
            policy->quiet_seconds = (unsigned)quiet->valueint;
    }
}

/* What a locked site leaves to the user does not include more trust in pipes, caches and threads. */
static bool check_locked(const struct policy *policy, const struct compiler *compilers, size_t count)
{
    for (size_t number = 0; policy->locked && number < count; number++) {
        if (compilers[number].tier != TIER_USER)
            continue;
        const cJSON *root = compilers[number].root;
        static const char *const trusted[] = {"ipc", "exchanges", "wrappers", "caches",
                                              "services", "restorers", "compilers"};
        const cJSON *added = NULL;
        for (size_t i = 0; i < sizeof trusted / sizeof trusted[0] && added == NULL; i++)
            added = cJSON_GetObjectItemCaseSensitive(root, trusted[i]);
        if (added != NULL)
            return fault_at_key(&compilers[number], added, "the site's policy is locked, so", added->string,
                                " cannot be extended");
    }
    return true;
}

static bool load_into(struct policy *policy, struct compiler *compilers, size_t count, struct policy_fault *fault)
{
    size_t rules = 0, names = 1;
    policy->documents = calloc(count, sizeof *policy->documents);
    if (policy->documents == NULL)
        return no_memory(fault, "no memory for the policy");
    if (!parse_all(policy, compilers, count, &rules, &names))
        return false;
    policy->rules = malloc((rules + 1) * sizeof *policy->rules);
    char *ids = policy->ids = malloc(names);
    if (policy->rules == NULL || ids == NULL)
        return no_memory(fault, "no memory for the policy");
    for (size_t number = 0; number < count; number++) {
        if (!compile_document(policy, &compilers[number], &ids))
            return false;
    }
    take_settings(policy, compilers, count);
    if (!check_locked(policy, compilers, count) || !check_switch_names(policy, compilers, count))
        return false;
    if (!sort_unlisted(policy) || !index_build(&policy->index, policy->rules, policy->rule_count))
        return no_memory(fault, "no memory for the policy, or more patterns than it can hold");
    return true;
}

struct policy *policy_load(const struct policy_text *texts, size_t count, struct policy_fault *fault)
{
    const struct policy_text built_in = {.name = "built-in policy",
                                         .text = policy_default_json,
                                         .length = (size_t)(policy_default_json_end - policy_default_json)};
    struct policy *policy = calloc(1, sizeof *policy);
    struct compiler *compilers = calloc(count + 1, sizeof *compilers);
    bool fine = policy != NULL && compilers != NULL;
    *fault = (struct policy_fault){.line = 0};
    if (!fine)
        no_memory(fault, "no memory for the policy");
    for (size_t number = 0; fine && number <= count; number++) {
        const struct policy_text *text = number < count ? &texts[count - 1 - number] : &built_in;
        enum tier tier = number == count ? TIER_BUILT_IN : text->site ? TIER_SITE : TIER_USER;
        compilers[number] = (struct compiler){.text = text, .tier = tier, .fault = fault};
    }
    if (fine && !load_into(policy, compilers, count + 1, fault)) {
        policy_free(policy);
        policy = NULL;
    }
    free(compilers);
    return policy;
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    for (size_t number = 0; number < policy->document_count; number++)
        cJSON_Delete(policy->documents[number].root);
    index_free(&policy->index);
    free(policy->documents);
    free(policy->rules);
    free(policy->ids);
    free(policy);
}

bool policy_rule_is_attack(const struct policy *policy, const char *id)
{
    for (uint32_t number = 0; number < policy->rule_count; number++) {
        if (policy->rules[number].attack && strcmp(policy->rules[number].id, id) == 0)
            return true;
    }
    return false;
}

enum policy_mode policy_mode(const struct policy *policy)
{
    return policy->mode;
}

bool policy_locked(const struct policy *policy)
{
    return policy->locked;
}

bool policy_log_required(const struct policy *policy)
{
    return policy->log_required;
}

bool policy_no_deepbind(const struct policy *policy)
{
    return policy->no_deepbind;
}

unsigned policy_quiet_seconds(const struct policy *policy)
{
    return policy->quiet_seconds;
}
