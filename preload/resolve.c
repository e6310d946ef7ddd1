#include "resolve.h"

#include "../analyzer/global_name.h"
#include "attributes.h"
#include "guard.h"
#include "model.h"
#include "settle.h"
#include "unpickler.h"
#include "verdicts.h"

#include <string.h>

/* An exception's text: a denial's line names a file, a callable and who asked. */
#define MESSAGE_SIZE 2048u

/* One way to read what the pickle names: as written, or as fix_imports maps it. */
struct reading {
    const char *module, *name;
    char text[GLOBAL_NAME_SIZE];
};

/* The name that an object calls itself, judged in place of the one by which it was reached. */
static void judge_own(const struct policy *policy, const struct subject *subject, const struct settled_name *own,
                      struct judgement *judgement)
{
    char text[GLOBAL_NAME_SIZE];
    struct effect effect = *subject->effect;
    struct subject named = *subject;
    struct judgement other;
    global_name_write(text, own->module, strlen(own->module), own->name, strlen(own->name));
    effect.name = text;
    effect.alias = NULL;
    named.effect = &effect;
    named.home = HOME_UNKNOWN;
    policy_judge(policy, &named, &other);
    if (other.unlisted) {
        named.home = settle_home(own->module);
        policy_judge(policy, &named, &other);
    }
    if (other.decision > judgement->decision)
        *judgement = other;
}

/* An import of ours runs here, outside guard's section: what the module does meanwhile is judged like anything else. */
void resolve_settle(const struct policy *policy, struct subject *subject, const char *module, const char *name,
                    struct judgement *judgement)
{
    struct settled_name own;
    settle(module, name, &subject->home, &subject->object, &own);
    policy_judge(policy, subject, judgement);
    if (own.module[0] != '\0')
        judge_own(policy, subject, &own, judgement);
}

/* A listed name stands for the module of that name, not for a file beside the model that takes its place: one that is
 * not loaded yet would be imported, which runs it. */
static void judge_shadow(const struct policy *policy, struct subject *subject, const struct reading *reading,
                         struct judgement *judgement)
{
    if (python_module(reading->module) != NULL)
        return;
    subject->home = settle_home(reading->module);
    if (subject->home == HOME_MODEL || subject->home == HOME_TEMPORARY)
        policy_judge(policy, subject, judgement);
    else
        subject->home = HOME_UNKNOWN;
}

static void judge(const struct policy *policy, struct subject *subject, const struct reading *readings, unsigned count,
                  bool whole, struct judgement *judgement)
{
    subject->home = HOME_UNKNOWN;
    subject->object = OBJECT_UNKNOWN;
    policy_judge(policy, subject, judgement);
    /* With a NUL, or what is no UTF-8, in it, it is no name of anybody's: unlisted it stays. */
    if (subject->origin == ORIGIN_IPC || !whole)
        return;
    if (!judgement->unlisted) {
        if (judgement->decision != DECISION_DENY)
            judge_shadow(policy, subject, &readings[count - 1], judgement);
        return;
    }
    struct judgement worst = {0};
    enum home home = HOME_UNKNOWN;
    enum object object = OBJECT_UNKNOWN;
    for (unsigned i = count; i-- > 0;) {
        resolve_settle(policy, subject, readings[i].module, readings[i].name, judgement);
        /* The written name of a mapped pair usually exists nowhere: nothing to hold against the other. */
        bool absent = i == 0 && count > 1 && subject->home == HOME_UNKNOWN;
        if (i + 1 == count || (!absent && judgement->decision > worst.decision)) {
            worst = *judgement;
            home = subject->home;
            object = subject->object;
        }
    }
    *judgement = worst;
    subject->home = home;
    subject->object = object;
}

static int act(struct subject *subject, const struct judgement *judgement)
{
    char message[MESSAGE_SIZE];
    struct guard_section section = guard_enter();
    enum decision decision = judgement != NULL ? guard_act(subject, judgement, NULL, 0, message, sizeof(message))
                                               : guard_decide(subject, NULL, 0, message, sizeof(message));
    guard_leave(section);
    return decision == DECISION_DENY ? python_deny(message) : 0;
}

/* getattr is being resolved: what will it be called with? */
static int act_on_attributes(const struct policy *policy, struct subject subject)
{
    const struct finding *worst;
    struct judged *judged = attributes_judge(policy, &subject, &worst);
    if (judged == NULL)
        return 0;
    subject.effect = &worst->effect;
    int answer = act(&subject, &worst->judgement);
    attributes_release(judged);
    return answer;
}

int resolve_judge(struct py_object *arguments, uintptr_t event_frame)
{
    struct reading readings[2];
    size_t module_length = 0, name_length = 0;
    const char *to_module = NULL, *to_name = NULL;
    unsigned count = 1;

    struct guard_section section = guard_enter();
    enum origin origin = unpickler_resolving(event_frame);
    const struct policy *policy = guard_policy();
    readings[0].module = python_text_length(python_item(arguments, 0), &module_length);
    readings[0].name = python_text_length(python_item(arguments, 1), &name_length);
    bool whole = readings[0].module != NULL && readings[0].name != NULL;
    if (!whole) {
        readings[0].module = readings[0].module != NULL ? readings[0].module : "";
        readings[0].name = readings[0].name != NULL ? readings[0].name : "";
    }
    whole = whole && strlen(readings[0].module) == module_length && strlen(readings[0].name) == name_length;
    global_name_write(readings[0].text, readings[0].module, module_length, readings[0].name, name_length);
    if (global_name_mapped(readings[0].module, module_length, readings[0].name, name_length, &to_module, &to_name)) {
        readings[1].module = to_module;
        readings[1].name = to_name != NULL ? to_name : readings[0].name;
        global_name_write(readings[1].text, to_module, strlen(to_module), readings[1].name, strlen(readings[1].name));
        count = 2;
    }
    guard_leave(section);

    struct effect effect = {
        .kind = EFFECT_IMPORT,
        .name = readings[0].text,
        .alias = count == 2 ? readings[1].text : NULL,
        .format = "pickle",
    };
    struct subject subject = {.effect = &effect, .moment = MOMENT_LIVE, .origin = origin};
    if (policy == NULL)
        return act(&subject, NULL);
    struct judgement judgement;
    int reading = guard_thread.last_read_fd;
    judge(policy, &subject, readings, count, whole, &judgement);
    guard_thread.last_read_fd = reading; /* settling may import a module, and that reads its file */
    char path[VERDICT_PATH];
    struct model_identity model;
    if (judgement.decision == DECISION_DENY && origin == ORIGIN_UNPICKLER &&
        guard_file_being_read(path, sizeof(path))) {
        /* A rule may allow the name to this model alone. */
        model_identify(path, &model);
        subject.path = path;
        subject.model = model.id[0] != '\0' ? model.id : NULL;
        subject.revision = model.revision[0] != '\0' ? model.revision : NULL;
        judge(policy, &subject, readings, count, whole, &judgement);
    }
    if (judgement.decision == DECISION_DENY) {
        /* What was remembered of this thread may be stale; before it costs anybody a load, the stacks are asked. */
        section = guard_enter();
        subject.origin = unpickler_resolving_afresh();
        guard_leave(section);
        if (subject.origin != origin)
            judge(policy, &subject, readings, count, whole, &judgement);
    }
    bool takes = judgement.decision != DECISION_DENY && subject.origin == ORIGIN_UNPICKLER &&
                 attributes_taken_by(readings[count - 1].text);
    int answer = takes ? act_on_attributes(policy, subject) : 0;
    return answer < 0 ? answer : act(&subject, &judgement);
}
