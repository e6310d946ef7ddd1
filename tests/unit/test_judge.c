/* Of a file with more to say than is kept, the worst is kept; a scan that cannot be finished is never clean. */
#include "../../preload/judge.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct policy *policy;
static struct judged *judged;

static void judge(const char *text, ssize_t (*pread)(void *, void *, size_t, uint64_t))
{
    struct source_memory memory = {(const unsigned char *)text, strlen(text)};
    struct judge_request request = {
        .policy = policy,
        .source = source_from_memory(&memory),
        .in_model_root = true,
        .subject = {.moment = MOMENT_REST, .path = "/models/m/config.json"},
    };

    if (pread)
        request.source.pread = pread;
    memset(judged, 0, offsetof(struct judged, findings));
    judge_source(&request, judged);
}

/* A config with `before` warnings, `denials` and `after` warnings, all different. */
static void many(unsigned before, unsigned denials, unsigned after)
{
    size_t room = 200u * (before + denials + after) + 100, length = 0;
    char *text = malloc(room);

    length += (size_t)snprintf(text, room, "[0");
    for (unsigned i = 0; i < before + denials + after; i++) {
        bool denied = i >= before && i < before + denials;
        length += (size_t)snprintf(
            text + length, room - length,
            denied ? ",{\"_target_\":\"os.system\",\"n\":%u}" : ",{\"auto_map\":{\"A\":\"m.C%u\"}}", i);
    }
    snprintf(text + length, room - length, "]");
    judge(text, NULL);
    free(text);
}

static unsigned count(enum decision decision)
{
    unsigned found = 0;

    for (size_t i = 0; i < judged->count; i++)
        found += judged->findings[i].judgement.decision == decision;
    return found;
}

static ssize_t fail(void *context, void *buffer, size_t length, uint64_t offset)
{
    (void)context;
    (void)buffer;
    (void)length;
    (void)offset;
    return -EIO;
}

int main(void)
{
    struct policy_fault fault = {0};

    policy = policy_load(NULL, 0, &fault);
    judged = calloc(1, sizeof(*judged));
    if (!policy || !judged)
        return 1;

    judge("{\"a\": 1}", NULL);
    unit_ok(judged->worst == DECISION_ALLOW && judged->count == 0 && judged->scan.format_count == 1, "nothing to say");

    judge("{\"base_model_name_or_path\": \"org/base\", \"revision\": \"main\"}", NULL);
    unit_ok(judged->worst == DECISION_ALLOW && judged->count == 1 && judged->findings[0].edge &&
                strcmp(finding_target(&judged->findings[0]), "org/base") == 0 &&
                strcmp(judged->findings[0].effect.revision, "main") == 0 &&
                strcmp(judged->findings[0].effect.field, "base_model_name_or_path") == 0,
            "an edge is kept though it is allowed");

    judge("[{\"auto_map\": {\"A\": \"m.C\"}}, {\"_target_\": \"os.system\"}, {\"_target_\": \"os.system\"}]", NULL);
    unit_ok(judged->worst == DECISION_DENY && count(DECISION_WARN) == 1 && count(DECISION_DENY) == 2 &&
                judged->omitted == 0,
            "each finding, where it stands");

    many(100, 1, 100);
    unit_ok(judged->worst == DECISION_DENY && judged->count == JUDGED_FINDINGS && count(DECISION_DENY) == 1 &&
                judged->omitted == 201 - JUDGED_FINDINGS,
            "a denial among too many warnings is kept");
    many(0, 100, 0);
    unit_ok(judged->worst == DECISION_DENY && count(DECISION_DENY) == JUDGED_FINDINGS && judged->omitted > 0,
            "too many denials");

    char *text = malloc(20000);
    memset(text, 'x', 19999);
    memcpy(text, "{\"_target_\": \"", 14);
    strcpy(text + 19990, "\"}");
    judge(text, NULL);
    unit_ok(judged->count == 1 && judged->findings[0].effect.name &&
                strlen(judged->findings[0].effect.name) <= LIMIT_NAME,
            "a name that is too long");
    free(text);

    judge("{}", fail);
    unit_ok(judged->scan.status == SCAN_IO && judged->scan.error == EIO, "a source that fails");
    policy_free(policy);
    free(judged);
    return unit_done();
}
