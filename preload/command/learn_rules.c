/* What was denied becomes rules: one for all names of an effect in one place. */
#define _GNU_SOURCE
#include "learn_wants.h"

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

/* Calls come first, so that they end up behind all others: each rule is added in front. Then by place; names last. */
static int by_place(const struct want *a, const struct want *b)
{
    int order = (b->effect == EFFECT_CALL) - (a->effect == EFFECT_CALL);

    order = order != 0 ? order : (int)a->effect - (int)b->effect;
    order = order != 0 ? order : compare(a->model, b->model);
    order = order != 0 ? order : compare(a->revision, b->revision);
    order = order != 0 ? order : compare(a->path, b->path);
    return order != 0 ? order : strcmp(a->sha256, b->sha256);
}

static int by_place_and_name(const void *a, const void *b)
{
    int order = by_place(a, b);

    return order != 0 ? order : strcmp(((const struct want *)a)->name, ((const struct want *)b)->name);
}

/* "learnt-call-1a2b3c4d": the same for the same rule, whoever learns it. */
static void rule_id(const struct want *first, size_t count, char id[64])
{
    char hex[DIGEST_HEX];
    const char *parts[] = {first->model, first->revision, first->path, first->sha256};
    SHA256_CTX context;

    SHA256_Init(&context);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        SHA256_Update(&context, parts[i] ? parts[i] : "", parts[i] ? strlen(parts[i]) + 1 : 1);
    for (size_t i = 0; i < count; i++)
        SHA256_Update(&context, first[i].name, strlen(first[i].name) + 1);
    digest_end(&context, hex);
    snprintf(id, 64, "learnt-%s-%.8s", effect_kind_name(first->effect), hex);
}

/* The reason: what denied it, where and for whom it was seen. malloc'd. */
static char *rule_why(const struct want *first, size_t count)
{
    uint64_t records = 0;
    char *text = NULL;

    for (size_t i = 0; i < count; i++)
        records += first[i].count;
    if (asprintf(&text, "%sdenied %llu time%s%s%s%s%s%s", first->effect == EFFECT_CALL ? "review this call: " : "",
                 (unsigned long long)records, records == 1 ? "" : "s", first->rule ? " by " : "",
                 first->rule ? first->rule : "", first->asker ? ", asked by " : "", first->asker ? first->asker : "",
                 first->model || first->path ? "" : ", in no known file") < 0)
        text = NULL;
    return text;
}

/* Adds one rule for `count` wants of one place to `text` (malloc'd, or NULL), which it frees. NULL with a fault. */
static char *rule_add(char *text, const struct want *first, size_t count, struct policy_fault *fault)
{
    const char **names = command_memory((count + 1) * sizeof(*names));
    char id[64], *why = rule_why(first, count), *path = first->path ? policy_escape(first->path) : NULL;

    for (size_t i = 0; i < count; i++)
        names[i] = first[i].name;
    rule_id(first, count, id);
    char *model = first->model ? policy_escape(first->model) : NULL;
    struct policy_rule_request rule = {
        .effect = first->effect,
        .names = names,
        .id = id,
        .model = model,
        .revision = first->revision,
        .path = path,
        .sha256 = first->sha256[0] != '\0' ? first->sha256 : NULL,
        .why = why,
        .then = DECISION_ALLOW,
    };
    char *more = policy_add_rule(text, &rule, fault);
    free(names);
    free(model);
    free(path);
    free(why);
    free(text);
    return more;
}

char *learn_rules(char *text, struct wants *wants, size_t *rules, struct policy_fault *fault)
{
    size_t next;

    *rules = 0;
    if (wants->learnt > 0)
        qsort(wants->list, wants->learnt, sizeof(*wants->list), by_place_and_name);
    for (size_t first = 0; first < wants->learnt; first = next, ++*rules) {
        for (next = first + 1; next < wants->learnt && by_place(&wants->list[first], &wants->list[next]) == 0; next++)
            ;
        text = rule_add(text, &wants->list[first], next - first, fault);
        if (!text)
            return NULL;
    }
    return text;
}
