/* Policy files: every fault with its place, settings, facts, descriptions, and adding a rule. */
#include "../../policy/policy.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    unsigned line, column;
    const char *says; /* in the message */
} faults[] = {
    {"", 1, 1, "empty"},
    {"{", 1, 1, "not JSON"},
    {"[]", 1, 1, "JSON object"},
    {"{\"version\": 1}\n x", 2, 2, "after the end"},
    {"{\"rules\": []}", 1, 1, "\"version\": 1"},
    {"{\"version\": 2}", 1, 13, "version 1"},
    {"{\"version\": 1,\n \"mdoe\": \"audit\"}", 2, 2, "did you mean \"mode\"?"},
    {"{\"version\": 1, \"mode\": \"strict\"}", 1, 24, "enforce, audit or off"},
    {"{\"version\": 1, \"version\": 1}", 1, 16, "given twice"},
    {"{\"version\": 1, \"locked\": true}", 1, 26, "only the site's"},
    {"{\"version\": 1, \"log_required\": 1}", 1, 32, "true or false"},
    {"{\"version\": 1, \"limits\": {\"nesting\": 4}}", 1, 27, "no limit"},
    {"{\"version\": 1, \"limits\": {\"quiet_seconds\": 0.5}}", 1, 44, "whole number of seconds"},
    {"{\"version\": 1, \"limits\": {\"quiet_seconds\": 86401}}", 1, 44, "up to a day"},
    {"{\"version\": 1, \"no_deepbind\": \"yes\"}", 1, 31, "true or false"},
    {"{\"version\": 1, \"switches\": []}", 1, 28, "is an object"},
    {"{\"version\": 1, \"switches\": {\"TORCH_FORCE\": true}}", 1, 29, "no switch is called \"TORCH_FORCE\""},
    {"{\"version\": 1, \"switches\": {\"TORCH_FORCE_WEIGHTS_ONLY_LOAD\": 1}}", 1, 62, "true or false"},
    {"{\"version\": 1, \"switches\": {\"HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE\": true}}", 1, 29, "only reported"},
    {"{\"version\": 1, \"switches\": {\"A\": {\"value\": \"1\"}}}", 1, 34, "and \"why\""},
    {"{\"version\": 1, \"switches\": {\"A\": {\"value\": 1, \"why\": \"\"}}}", 1, 44, "is a string"},
    {"{\"version\": 1, \"switches\": {\"A=B\": true}}", 1, 29, "no variable can be called"},
    {"{\"version\": 1, \"caches\": {\"path\": []}}", 1, 27, "\"paths\" and \"modules\""},
    {"{\"version\": 1, \"ipc\": [1]}", 1, 24, "is a string"},
    {"{\"version\": 1, \"rules\": {}}", 1, 25, "list of rules"},
    {"{\"version\": 1, \"rules\": [1]}", 1, 26, "a rule is an object"},
    {"{\"version\": 1, \"rules\": [\n  {\"effect\": \"call\", \"mach\": [\"a\"], \"then\": \"deny\"}]}", 2, 22,
     "did you mean \"match\"?"},
    {"{\"version\": 1, \"rules\": [\n  {\"effect\": \"cal\", \"then\": \"deny\"}]}", 2, 14, "did you mean \"call\"?"},
    {"{\"version\": 1, \"rules\": [\n  {\"effect\": [\"call\",\n \"zzz\"], \"then\": \"deny\"}]}", 3, 2,
     "there are import, create"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"then\": \"forbid\"}]}", 1, 53, "unknown then"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\"}]}", 1, 26, "no \"then\""},
    {"{\"version\": 1, \"rules\": [{\"then\": \"deny\"}]}", 1, 26, "no \"effect\""},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"match\": [], \"then\": \"deny\"}]}", 1, 54, "never match"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"match\": [\"\"], \"then\": \"deny\"}]}", 1, 55,
     "empty pattern"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"read\", \"args\": [\"a\"], \"then\": \"deny\"}]}", 1, 26, "\"args\""},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"args\": [1], \"then\": \"deny\"}]}", 1, 54,
     "argument pattern"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"args\": [\"@byte\"], \"then\": \"deny\"}]}", 1, 54,
     "did you mean \"@bytes\"?"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"holds\": {\"x\": []}, \"then\": \"deny\"}]}", 1, 55,
     "no argument position"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"path\": [\"a/b\"], \"then\": \"deny\"}]}", 1, 54,
     "absolute"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"model\": \"hf:a/b@c\", \"then\": \"deny\"}]}", 1, 54,
     "\"revision\""},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"model\": \"a/b\", \"then\": \"deny\"}]}", 1, 54,
     "hf: nor file:"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"sha256\": \"AB\", \"then\": \"deny\"}]}", 1, 55,
     "64 lower-case"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"expires\": \"2027-13-01\", \"then\": \"deny\"}]}", 1, 56,
     "no date"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"match\": \"a\", \"unlisted\": true, \"then\": \"deny\"}]}",
     1, 26, "unlisted"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"otherwise\": \"deny\", \"then\": \"allow\"}]}", 1, 26,
     "otherwise"},
    {"{\"version\": 1, \"rules\": [{\"effect\": \"call\", \"match\": [\"a\\u0000b\"], \"then\": \"deny\"}]}", 1, 57,
     "NUL"},
};

static struct policy *load(const char *text, bool site, struct policy_fault *fault)
{
    struct policy_text one = {.name = "p.json", .text = text, .length = strlen(text), .site = site};
    return policy_load(&one, 1, fault);
}

static void test_faults(void)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct policy_fault fault;
        struct policy *policy = load(faults[i].text, false, &fault);
        bool right = policy == NULL && fault.line == faults[i].line && fault.column == faults[i].column &&
                     strstr(fault.message, faults[i].says) != NULL && strcmp(fault.name, "p.json") == 0;
        if (!unit_ok(right, "fault %zu at %u:%u: %s", i, faults[i].line, faults[i].column, faults[i].says))
            printf("# wanted %u:%u %s\n# got %u:%u %s\n", faults[i].line, faults[i].column, faults[i].says, fault.line,
                   fault.column, policy == NULL ? fault.message : "(no fault)");
        policy_free(policy);
    }
}

static enum policy_mode mode_of(const char *site, const char *user)
{
    struct policy_text texts[] = {{.name = "site", .text = site, .length = strlen(site), .site = true},
                                  {.name = "user", .text = user, .length = strlen(user)}};
    struct policy_fault fault;
    struct policy *policy = policy_load(texts, 2, &fault);
    enum policy_mode mode = policy != NULL ? policy_mode(policy) : MODE_UNSET;
    policy_free(policy);
    return mode;
}

static void test_settings(void)
{
    static const char none[] = "{\"version\": 1}", audit[] = "{\"version\": 1, \"mode\": \"audit\"}",
                      enforce[] = "{\"version\": 1, \"mode\": \"enforce\"}",
                      locked[] = "{\"version\": 1, \"locked\": true}",
                      locked_audit[] = "{\"version\": 1, \"locked\": true, \"mode\": \"audit\"}";
    unit_ok(mode_of(none, none) == MODE_UNSET, "no mode is no mode");
    unit_ok(mode_of(enforce, audit) == MODE_AUDIT, "the later mode counts");
    unit_ok(mode_of(audit, none) == MODE_AUDIT, "the site's mode counts where the user gives none");
    unit_ok(mode_of(locked, audit) == MODE_ENFORCE, "a locked site's mode cannot be lowered");
    unit_ok(mode_of(locked_audit, enforce) == MODE_ENFORCE, "but raised");
    struct policy_fault fault;
    struct policy *policy = load("{\"version\": 1, \"locked\": true, \"log_required\": true}", true, &fault);
    unit_ok(policy != NULL && policy_locked(policy) && policy_log_required(policy),
            "locked and log_required are taken");
    policy_free(policy);
    struct policy_text texts[] = {{.name = "site", .text = locked, .length = strlen(locked), .site = true},
                                  {.name = "user", .text = "{\"version\": 1, \"ipc\": [\"x\"]}", .length = 29}};
    texts[1].length = strlen(texts[1].text);
    unit_ok(policy_load(texts, 2, &fault) == NULL && strcmp(fault.name, "user") == 0 && fault.column == 16,
            "a user cannot extend ipc under a locked site");
}

static void take_switch(void *context, const struct policy_switch *found)
{
    if (strcmp(found->variable, "TORCH_FORCE_WEIGHTS_ONLY_LOAD") == 0)
        snprintf(context, 8, "%s", found->value);
}

/* What a user's word for a switch makes of it. */
static bool switch_gives(const char *site, const char *user, const char *expected)
{
    struct policy_text texts[] = {{.name = "site", .text = site, .length = strlen(site), .site = true},
                                  {.name = "user", .text = user, .length = strlen(user)}};
    struct policy_fault fault;
    struct policy *policy = policy_load(texts, 2, &fault);
    char value[8] = "";
    if (policy != NULL)
        policy_switches(policy, take_switch, value);
    policy_free(policy);
    return policy != NULL && strcmp(value, expected) == 0;
}

static void test_switches(void)
{
    static const char on[] = "{\"version\": 1, \"switches\": {\"TORCH_FORCE_WEIGHTS_ONLY_LOAD\": true}}",
                      locked[] = "{\"version\": 1, \"locked\": true, "
                                 "\"switches\": {\"TORCH_FORCE_WEIGHTS_ONLY_LOAD\": true}}",
                      off[] = "{\"version\": 1, \"switches\": {\"TORCH_FORCE_WEIGHTS_ONLY_LOAD\": false}}",
                      other[] = "{\"version\": 1, \"switches\": "
                                "{\"TORCH_FORCE_WEIGHTS_ONLY_LOAD\": {\"value\": \"0\", \"why\": \"x\"}}}";
    unit_ok(switch_gives(on, off, "") && switch_gives(on, other, "0"), "the user has the last word on a switch");
    unit_ok(switch_gives(locked, off, "1") && switch_gives(locked, other, "1"), "but not under a locked site");
}

static void test_facts(void)
{
    struct policy_fault fault;
    struct policy *policy =
        load("{\"version\": 1, \"ipc\": [\"own.pipes\"], \"caches\": {\"paths\": \"~/.own/**\"}}", false, &fault);
    unit_ok(policy_lists_module(policy, MODULES_IPC, "multiprocessing.connection") &&
                policy_lists_module(policy, MODULES_IPC, "own.pipes"),
            "ipc modules");
    unit_ok(policy_is_service_file(policy, "/v/lib/python3.11/site-packages/fsspec/asyn.py") &&
                !policy_is_service_file(policy, "/home/u/fsspec/asyn.py"), "files whose threads serve everybody");
    unit_ok(policy_is_starter(policy, "sh") && policy_is_starter(policy, "ld-linux-x86-64.so.2") &&
                policy_is_starter(policy, ".ape-1.10") && !policy_is_starter(policy, "cp"),
            "programs that run what they get");
    unit_ok(policy_lists_module(policy, MODULES_RESTORERS, "keras.src.saving.saving_lib") &&
                !policy_lists_module(policy, MODULES_RESTORERS, "keras"), "modules that restore through a folder");
    unit_ok(!policy_lists_module(policy, MODULES_IPC, "multiprocessingx") &&
                !policy_lists_module(policy, MODULES_IPC, "pickle"),
            "and what is none");
    unit_ok(policy_is_cache_path(policy, "/home/u/.cache/parso/x.pkl", "/home/u") &&
                policy_is_cache_path(policy, "/home/u/.own/a/b", "/home/u/") &&
                policy_is_cache_path(policy, "/srv/app/__pycache__/kernels.add-1.py311.1.nbc", "/home/u") &&
                policy_is_cache_path(policy, "/srv/app/__pycache__/kernels.add-1.py311.nbi", "/home/u"),
            "cache paths");
    unit_ok(!policy_is_cache_path(policy, "/home/v/.cache/parso/x.pkl", "/home/u") &&
                !policy_is_cache_path(policy, "/srv/app/kernels.nbi", "/home/u") &&
                !policy_is_cache_path(policy, "/x", NULL) &&
                !policy_is_cache_path(policy, "/home/u/.cache/parso/../../x", "/home/u"),
            "and what is none");
    unit_ok(policy_lists_module(policy, MODULES_CACHES, "parso.cache") &&
                !policy_lists_module(policy, MODULES_CACHES, "os"),
            "cache modules");
    policy_free(policy);
}

static bool describes(struct effect effect, const char *expected)
{
    char clause[256];
    size_t length = policy_describe(&effect, clause, sizeof clause);
    if (strcmp(clause, expected) != 0)
        printf("# %s\n", clause);
    return strcmp(clause, expected) == 0 && length == strlen(expected);
}

static void test_describe(void)
{
    const struct argument id = {ARGUMENT_STRING, "id"};
    struct effect effect = {
        .kind = EFFECT_CALL, .name = "posix.system", .arguments = &id, .argument_count = 1, .argument_known = true};
    unit_ok(describes(effect, "calls posix.system(\"id\")"), "a call");
    effect.argument_known = false;
    unit_ok(describes(effect, "calls posix.system(...)"), "a call with unknown arguments");
    effect.via = "builtins.map";
    unit_ok(describes(effect, "hands posix.system to builtins.map, which may call it"), "a name handed over");
    effect = (struct effect){
        .kind = EFFECT_DEPEND, .name = "org/base", .field = "base_model_name_or_path", .revision = "main"};
    unit_ok(describes(effect, "names the base model org/base@main in base_model_name_or_path"), "a base model");
    unit_ok(describes((struct effect){.kind = EFFECT_CODE, .name = "marshal"}, "carries marshalled code"),
            "marshalled code");
    unit_ok(describes((struct effect){.kind = EFFECT_IMPORT, .name = "a.\x1b[1m"}, "names a.\\x1b[1m"),
            "control characters are shown");
    char small[8];
    effect = (struct effect){.kind = EFFECT_MALFORMED, .name = "zip", .detail = "names differ"};
    unit_ok(policy_describe(&effect, small, sizeof small) == 7 && strcmp(small, "is malf") == 0,
            "a small buffer is not passed");
    unit_ok(policy_describe(&effect, NULL, 0) == 0, "nor is none");
}

static bool allows(const char *text, const char *name)
{
    struct policy_fault fault;
    struct policy *policy = load(text, false, &fault);
    struct effect effect = {.kind = EFFECT_CALL, .name = name, .argument_known = true};
    struct subject subject = {.effect = &effect, .moment = MOMENT_REST};
    struct judgement judgement = {.decision = DECISION_DENY};
    if (policy != NULL)
        policy_judge(policy, &subject, &judgement);
    policy_free(policy);
    return judgement.decision == DECISION_ALLOW;
}

static void test_add_rule(void)
{
    struct policy_fault fault;
    struct policy_rule_request request = {.effect = EFFECT_CALL,
                                          .names = (const char *const[]){"mypkg.rebuild", NULL},
                                          .then = DECISION_ALLOW,
                                          .why = "it is \"ours\""};
    char *first = policy_add_rule(NULL, &request, &fault);
    unit_ok(first != NULL && allows(first, "mypkg.rebuild") && !allows(first, "mypkg.other"),
            "a new file with one rule");
    request.names = (const char *const[]){"mypkg.other", NULL};
    char *second = policy_add_rule(first, &request, &fault);
    unit_ok(second != NULL && allows(second, "mypkg.rebuild") && allows(second, "mypkg.other"),
            "a second rule beside the first");
    unit_ok(second != NULL && strstr(second, "mypkg.other") < strstr(second, "mypkg.rebuild"), "in front of it");
    request.names = (const char *const[]){"a.**", NULL};
    char *hostile = policy_add_rule(NULL, &request, &fault);
    unit_ok(hostile != NULL && allows(hostile, "a.**") && !allows(hostile, "a.b"),
            "a name with stars is taken literally");
    static const char own[] = "{ \"version\": 1,\n\t\"mode\" : \"audit\" }\n";
    char *kept = policy_add_rule(own, &request, &fault);
    unit_ok(kept != NULL && strstr(kept, "\"version\": 1,\n\t\"mode\" : \"audit\" }\n") != NULL && allows(kept, "a.**"),
            "the rest of the file stays as it is");
    unit_ok(policy_add_rule("{\"version\": 1,\n \"rulez\": []}", &request, &fault) == NULL && fault.line == 2,
            "a faulty file is not touched");
    request.sha256 = "nonsense";
    unit_ok(policy_add_rule(NULL, &request, &fault) == NULL && strstr(fault.message, "SHA-256") != NULL,
            "a faulty rule is not written");
    free(first);
    free(second);
    free(hostile);
    free(kept);
}

int main(void)
{
    test_faults();
    test_settings();
    test_switches();
    test_facts();
    test_describe();
    test_add_rule();
    return unit_done();
}
