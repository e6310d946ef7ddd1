/* guard policy explain: asks the policy as a load would, and shows the answer. */
#define _GNU_SOURCE
#include "policy_verbs.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* One effect to ask about, and whether its name may be what the user meant. */
struct question {
    enum effect_kind kind;
    const char *name;
};

static struct judgement judge(const struct policy *policy, const struct question *question, enum moment moment)
{
    struct effect effect = {.kind = question->kind, .name = question->name};
    struct subject subject = {.effect = &effect, .moment = moment};
    struct judgement judgement = {0};

    policy_judge(policy, &subject, &judgement);
    return judgement;
}

static void print_judgement(const char *when, const struct judgement *judgement)
{
    printf("%s%s by rule ", when, decision_name(judgement->decision));
    command_print_visible(stdout, judgement->rule);
    printf(" (%s)", judgement->severity);
    if (judgement->why && judgement->why[0] != '\0') {
        fputs(": ", stdout);
        command_print_visible(stdout, judgement->why);
    }
    putchar('\n');
}

static void explain(const struct policy *policy, const struct question *question)
{
    struct judgement rest = judge(policy, question, MOMENT_REST), load = judge(policy, question, MOMENT_LOAD);
    char when[32];

    snprintf(when, sizeof(when), "  %-9s ", effect_kind_name(question->kind));
    if (rest.rule == load.rule && rest.decision == load.decision) {
        print_judgement(when, &rest);
        return;
    }
    fputs(when, stdout);
    print_judgement("in a scan: ", &rest);
    printf("  %-9s ", "");
    print_judgement(load.unlisted ? "at load, until it is resolved: " : "at load: ", &load);
}

/* EFFECT:NAME asks for one effect. Otherwise what the name looks like decides: a model id, a path, or a callable. */
static void explain_name(const struct policy *policy, const char *name)
{
    static const enum effect_kind callable[] = {EFFECT_IMPORT, EFFECT_CREATE, EFFECT_CALL};
    static const enum effect_kind path[] = {EFFECT_READ, EFFECT_WRITE, EFFECT_EXEC, EFFECT_NATIVE};
    static const enum effect_kind model[] = {EFFECT_DEPEND};
    const char *colon = strchr(name, ':');
    enum effect_kind only = colon ? effect_kind_find(name, (size_t)(colon - name)) : EFFECT_KINDS;
    const enum effect_kind *kinds = callable;
    size_t count = sizeof(callable) / sizeof(*callable);

    command_print_visible(stdout, name);
    putchar('\n');
    if (only != EFFECT_KINDS) {
        name = colon + 1;
        kinds = &only;
        count = 1;
    } else if (strncmp(name, "hf:", 3) == 0 || strncmp(name, "file:", 5) == 0) {
        kinds = model;
        count = sizeof(model) / sizeof(*model);
    } else if (strchr(name, '/')) {
        kinds = path;
        count = sizeof(path) / sizeof(*path);
    }
    for (size_t i = 0; i < count; i++)
        explain(policy, &(struct question){.kind = kinds[i], .name = name});
}

int policy_explain(int argc, char **argv)
{
    const char *file = NULL;

    int status = policy_option(argc, argv, &file);
    if (status >= 0)
        return status;
    if (optind == argc)
        return command_usage(EXIT_USAGE, "policy", "explain which NAME?");
    struct policy *policy = command_load_policy("policy", file);
    if (!policy)
        return EXIT_USAGE;
    for (int i = optind; i < argc; i++)
        explain_name(policy, argv[i]);
    policy_free(policy);
    return 0;
}
