/* One more rule in the text of a policy file; everything else in the file stays as its author wrote it. */
#include "position.h"
#include "rules.h"
#include "text.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* A name is meant literally: one that came out of a hostile file may hold wildcards. */
char *policy_escape(const char *name)
{
    char *escaped = malloc(2 * strlen(name) + 1), *to = escaped;
    if (escaped == NULL)
        return NULL;
    for (; *name != '\0'; name++) {
        if (strchr("*?[\\", *name) != NULL)
            *to++ = '\\';
        *to++ = *name;
    }
    *to = '\0';
    return escaped;
}

/* True as well when there are no names to add. */
static bool add_names(cJSON *rule, const char *const *names)
{
    cJSON *list = names != NULL ? cJSON_AddArrayToObject(rule, "match") : NULL;
    for (; list != NULL && *names != NULL; names++) {
        char *pattern = policy_escape(*names);
        bool added = pattern != NULL && cJSON_AddItemToArray(list, cJSON_CreateString(pattern));
        free(pattern);
        if (!added)
            return false;
    }
    return names == NULL || list != NULL;
}

static bool add_list(cJSON *rule, const char *key, const char *only)
{
    cJSON *list = only != NULL ? cJSON_AddArrayToObject(rule, key) : NULL;
    return only == NULL || (list != NULL && cJSON_AddItemToArray(list, cJSON_CreateString(only)));
}

static bool add_string(cJSON *rule, const char *key, const char *value)
{
    return value == NULL || cJSON_AddStringToObject(rule, key, value) != NULL;
}

/* "allow-call-torch.load" */
static bool add_id(cJSON *rule, const struct policy_rule_request *request)
{
    char id[128];
    if (request->id != NULL)
        return add_string(rule, "id", request->id);
    struct text text = text_into(id, sizeof id);
    text_add(&text, decision_name(request->then));
    text_add(&text, "-");
    text_add(&text, effect_kind_name(request->effect));
    if (request->names != NULL && request->names[0] != NULL) {
        text_add(&text, "-");
        text_add_visible(&text, request->names[0]);
    }
    return add_string(rule, "id", id);
}

static char *print_rule(const struct policy_rule_request *request)
{
    cJSON *rule = cJSON_CreateObject();
    char *printed = NULL;
    if (rule != NULL && add_id(rule, request) &&
        add_string(rule, "effect", effect_kind_name(request->effect)) && add_names(rule, request->names) &&
        add_list(rule, "model", request->model) && add_string(rule, "revision", request->revision) &&
        add_list(rule, "path", request->path) && add_string(rule, "sha256", request->sha256) &&
        add_string(rule, "then", decision_name(request->then)) && add_string(rule, "why", request->why))
        printed = cJSON_PrintUnformatted(rule);
    cJSON_Delete(rule);
    return printed;
}

/* The text with `pieces` between its first `at` bytes and the rest. */
static char *splice(const char *text, size_t length, size_t at, const char *const pieces[], unsigned count)
{
    size_t more = 0;
    for (unsigned piece = 0; piece < count; piece++)
        more += strlen(pieces[piece]);
    char *whole = malloc(length + more + 1);
    if (whole == NULL)
        return NULL;
    struct text out = text_into(whole, length + more + 1);
    text_add_bytes(&out, text, at);
    for (unsigned piece = 0; piece < count; piece++)
        text_add(&out, pieces[piece]);
    text_add_bytes(&out, text + at, length - at);
    return whole;
}

/* Behind the '[' of "rules", or behind the '{' of the file when it has none. */
static char *insert_rule(const struct compiler *compiler, const char *rule)
{
    const char *text = compiler->text->text;
    size_t length = compiler->text->length;
    const cJSON *rules = cJSON_GetObjectItemCaseSensitive(compiler->root, "rules");
    const cJSON *place = rules != NULL ? rules : compiler->root;
    const char *indent = rules != NULL ? "\n    " : "\n  \"rules\": [\n    ";
    const char *after = rules != NULL ? rules->child != NULL ? "," : "\n  " : "\n  ],";
    const char *const pieces[] = {indent, rule, after};
    size_t at = position_of_value(text, length, compiler->root, place).offset + 1;
    return splice(text, length, at, pieces, 3);
}

static bool is_valid(const struct policy_text *text, struct policy_fault *fault)
{
    struct policy *policy = policy_load(text, 1, fault);
    policy_free(policy);
    return policy != NULL;
}

char *policy_add_rule(const char *text, const struct policy_rule_request *request, struct policy_fault *fault)
{
    static const char empty[] = "{\n  \"version\": 1,\n  \"rules\": []\n}\n";
    struct policy_text old = {.name = "the policy file", .text = text != NULL ? text : empty, .site = true};
    old.length = strlen(old.text);
    if (!is_valid(&old, fault))
        return NULL;
    struct compiler compiler = {.text = &old, .tier = TIER_USER, .fault = fault};
    cJSON *root = document_parse(&compiler, POLICY_SHAPE);
    char *rule = print_rule(request), *grown = NULL;
    if (root != NULL && rule != NULL)
        grown = insert_rule(&compiler, rule);
    cJSON_Delete(root);
    cJSON_free(rule);
    if (grown == NULL) {
        struct text message = text_into(fault->message, sizeof fault->message);
        text_add(&message, "no memory for the new rule");
        return NULL;
    }
    struct policy_text new = {.name = "the new rule", .text = grown, .length = strlen(grown), .site = true};
    if (!is_valid(&new, fault)) {
        free(grown);
        return NULL;
    }
    return grown;
}
