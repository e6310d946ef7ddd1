/* Fuzzes policy texts: what compiles is asked for judgements, what does not must name a place in the text. */
#include "../../policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_some(const struct policy *policy)
{
    static const char *const names[] = {"posix.system", "builtins.eval", "collections.OrderedDict", "a.b:c.d", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int kind = 0; kind < EFFECT_KINDS; kind++) {
            const struct argument argument = {.kind = ARGUMENT_STRING, .text = "id"};
            const struct effect effect = {.kind = (enum effect_kind)kind,
                                          .name = names[i],
                                          .arguments = &argument,
                                          .argument_count = 1,
                                          .argument_known = true,
                                          .format = "pickle"};
            const struct subject subject = {.effect = &effect,
                                            .moment = MOMENT_LOAD,
                                            .path = "/m/pytorch_model.bin",
                                            .model = "hf:org/name",
                                            .process = "python3"};
            struct judgement judgement;
            policy_judge(policy, &subject, &judgement);
            if (!judgement.rule || !judgement.severity || !judgement.why || !decision_name(judgement.decision)) {
                fprintf(stderr, "a judgement of %s lacks its rule, severity or reason\n", names[i]);
                abort();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Texts are not NUL-terminated; an exact copy lets the sanitizer see a read behind the end. */
    char *text = malloc(size ? size : 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    const struct policy_text texts[] = {{.name = "fuzz", .text = text, .length = size, .site = size % 2 == 0}};
    struct policy_fault fault = {.message = ""};
    struct policy *policy = policy_load(texts, 1, &fault);
    if (policy) {
        judge_some(policy);
        policy_free(policy);
    } else if (!fault.message[0] || !memchr(fault.message, 0, sizeof fault.message)) {
        fprintf(stderr, "a refused policy without a reason\n");
        abort();
    }
    free(text);
    return 0;
}
