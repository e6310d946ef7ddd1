#include "attributes.h"

#include "guard.h"
#include "python.h"
#include "raw.h"
#include "resolve.h"
#include "scratch.h"
#include "settle.h"
#include "text_hash.h"
#include "unpickler_memory.h"
#include "verdicts.h"

#include <string.h>

bool attributes_taken_by(const char *name)
{
    return strcmp(name, "builtins.getattr") == 0 || strcmp(name, "__builtin__.getattr") == 0;
}

/* Files found to be clean, by what stat tells: a file of ten thousand pickles is not read ten thousand times. */
static uint64_t clean_hashes[64];
static struct text_seen clean_files = {clean_hashes, 64, 0};

/* "module:Class.attribute" in its three parts. */
static bool split(const char *text, struct settled_name *whole, struct settled_name *class)
{
    const char *colon = strrchr(text, ':'), *dot = colon != NULL ? strrchr(colon, '.') : NULL;
    if (dot == NULL || (size_t)(colon - text) >= sizeof(whole->module) || strlen(colon + 1) >= sizeof(whole->name))
        return false;
    memcpy(whole->module, text, (size_t)(colon - text));
    whole->module[colon - text] = '\0';
    strcpy(whole->name, colon + 1);
    *class = *whole;
    class->name[dot - colon - 1] = '\0';
    return true;
}

static bool is_listed(const struct policy *policy, const struct subject *like, const struct settled_name *class)
{
    char text[sizeof(class->module) + sizeof(class->name)];
    struct effect effect = {.kind = EFFECT_IMPORT, .name = text, .format = "pickle"};
    struct subject subject = {.effect = &effect, .moment = MOMENT_LIVE, .origin = like->origin};
    struct judgement judgement;
    size_t length = strlen(class->module);
    memcpy(text, class->module, length);
    text[length] = strchr(class->name, '.') != NULL ? ':' : '.';
    strcpy(text + length + 1, class->name);
    policy_judge(policy, &subject, &judgement);
    return judgement.decision == DECISION_ALLOW && !judgement.unlisted;
}

/* Is the class one that a rule lets appear, or made of such a class of an installed package, as a model's layers are of
 * torch's Module? What its own methods are is then the library's affair, but for those that rules name. */
static bool is_of_listed(const struct policy *policy, const struct subject *like, const struct settled_name *class)
{
    struct settled_name base;
    bool found = is_listed(policy, like, class);
    for (unsigned at = 0; !found && settle_base(class, at, &base); at++)
        found = settle_home(base.module) == HOME_INSTALLED && is_listed(policy, like, &base);
    return found;
}

/* An attribute whose name no rule lists. */
static void judge_attribute(const void *context, struct subject *subject, struct judgement *judgement)
{
    const struct policy *policy = context;
    struct settled_name whole, class;
    if (!split(subject->effect->name, &whole, &class) || is_of_listed(policy, subject, &class))
        return;
    subject->moment = MOMENT_LIVE;
    resolve_settle(policy, subject, whole.module, whole.name, judgement);
}

static const struct finding *worst_of(const struct judged *judged)
{
    const struct finding *worst = NULL;
    for (size_t i = 0; i < judged->count; i++) {
        const struct finding *finding = &judged->findings[i];
        if (finding->judgement.decision == DECISION_DENY &&
            (worst == NULL || (finding->judgement.attack && !worst->judgement.attack)))
            worst = finding;
    }
    return worst;
}

static void judge_bytes(const struct policy *policy, const struct subject *subject, const struct source *source,
                        struct judged *judged)
{
    struct judge_request request = {.policy = policy, .subject = *subject, .source = *source,
                                    .settle_attribute = judge_attribute, .settle_context = policy};
    request.subject.effect = NULL;
    request.subject.moment = MOMENT_LOAD;
    memset(judged, 0, offsetof(struct judged, findings));
    judge_source(&request, judged);
}

static ssize_t read_file(void *context, void *buffer, size_t length, uint64_t offset)
{
    return raw_pread(*(const int *)context, buffer, length, offset);
}

/* The file that this thread read last. */
static void judge_file(const struct policy *policy, const struct subject *subject, struct judged *judged)
{
    int fd = guard_thread.last_read_fd - 1;
    struct stat status;
    if (fd < 0 || raw_fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    struct verdict_identity identity = verdict_identity(&status);
    uint64_t hash = text_hash_bytes(TEXT_HASH_START, &identity, sizeof(identity));
    if (text_was_seen(&clean_files, hash))
        return;
    const struct source source = {.pread = read_file, .context = &fd, .size = (uint64_t)status.st_size};
    judge_bytes(policy, subject, &source, judged);
    if (judged->worst != DECISION_DENY)
        text_remember(&clean_files, hash);
}

struct judged *attributes_judge(const struct policy *policy, const struct subject *subject,
                                const struct finding **worst)
{
    struct unpickler_memory memories[UNPICKLER_MEMORIES];
    struct judged *judged = scratch_take_partly(sizeof(*judged), offsetof(struct judged, findings));
    *worst = NULL;
    if (judged == NULL)
        return NULL;
    unsigned count = unpickler_memory_find(memories);
    for (unsigned i = 0; i < count && *worst == NULL; i++) {
        struct source_memory memory = {memories[i].data, memories[i].length};
        const struct source source = source_from_memory(&memory);
        judge_bytes(policy, subject, &source, judged);
        *worst = worst_of(judged);
    }
    unpickler_memory_release(memories, count);
    if (count == 0) {
        judge_file(policy, subject, judged);
        *worst = worst_of(judged);
    }
    if (*worst != NULL)
        return judged;
    attributes_release(judged);
    return NULL;
}

void attributes_release(struct judged *judged)
{
    scratch_give(NULL, judged, sizeof(*judged));
}
