#include "deeds.h"

#include "guard.h"
#include "interrupt.h"
#include "unpickler.h"

#include <fcntl.h>
#include <string.h>

#define MESSAGE_SIZE 2048u

struct deed {
    const char *event;
    enum effect_kind kind;
    int argument;
    const char *token;
};

static const struct deed deeds[] = {
#define DEED(event, kind, argument, token) {event, kind, argument, token},
#include "deeds.def"
#undef DEED
};

static const struct deed *deed_find(const char *event)
{
    size_t low = 0, high = sizeof(deeds) / sizeof(deeds[0]);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(event, deeds[middle].event);
        if (order == 0)
            return &deeds[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ("open", path, mode, flags): the flags say it for os.open() and open() alike. */
static bool opens_for_writing(struct py_object *arguments)
{
    long flags = python_number(python_item(arguments, 2), 0);
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

/* What is touched, as text that lives as long as `arguments`: a str, bytes, the first of a tuple or list (an address,
 * an argument vector); NULL when it is something else. */
static const char *target(struct py_object *object, unsigned depth)
{
    const struct python *python = python_api();
    const char *text = python_text(object);
    if (text != NULL)
        return text;
    if (python_is_kind(object, python->PyBytes_Type))
        return python->PyBytes_AsString(object);
    if (depth > 0 && python_is_kind(object, python->PyTuple_Type) && python->PyTuple_Size(object) > 0)
        return target(python->PyTuple_GetItem(object, 0), depth - 1);
    if (depth > 0 && python_is_kind(object, python->PyList_Type) && python->PyList_Size(object) > 0)
        return target(python->PyList_GetItem(object, 0), depth - 1);
    return NULL;
}

static bool denied(const struct policy *policy, const struct subject *subject, struct judgement *judgement)
{
    policy_judge(policy, subject, judgement);
    return judgement->decision == DECISION_DENY;
}

/* Is it the doing of something that runs below the unpickler by right, or interrupts it? Cheapest first; the last may
 * run a collection, and is asked outside guard's section. */
static bool excused(const struct policy *policy, struct subject *subject, struct judgement *judgement)
{
    struct unpickler_info info;
    struct guard_section section = guard_enter();
    bool inside = unpickler_prove(&info);
    if (inside && unpickler_importing()) {
        subject->origin = ORIGIN_IMPORT;
        inside = denied(policy, subject, judgement);
    }
    bool done = !inside || interrupt_signal();
    guard_leave(section);
    return done || interrupt_collecting();
}

int deeds_judge(const char *event, struct py_object *arguments)
{
    struct unpickler_info info;
    const struct deed *deed = deed_find(event);
    if (deed == NULL || !unpickler_inside(&info) || info.origin == ORIGIN_IPC)
        return 0;
    if (deed->kind == EFFECT_WRITE && strcmp(event, "open") == 0 && !opens_for_writing(arguments))
        return 0;

    struct guard_section section = guard_enter();
    const struct policy *policy = guard_policy();
    const char *what = deed->argument >= 0 ? target(python_item(arguments, deed->argument), 1) : NULL;
    struct effect effect = {
        .kind = deed->kind,
        .name = what != NULL && deed->kind != EFFECT_CODE ? what : deed->token,
        .format = "pickle",
        .detail = event,
    };
    struct subject subject = {.effect = &effect, .moment = MOMENT_LIVE, .origin = info.origin};
    struct judgement judgement;
    bool worse = policy == NULL || denied(policy, &subject, &judgement);
    guard_leave(section);
    if (worse && policy != NULL && excused(policy, &subject, &judgement))
        return 0;

    char message[MESSAGE_SIZE];
    section = guard_enter();
    enum decision decision = policy != NULL ? guard_act(&subject, &judgement, NULL, 0, message, sizeof(message))
                                            : guard_decide(&subject, NULL, 0, message, sizeof(message));
    guard_leave(section);
    return decision == DECISION_DENY ? python_deny(message) : 0;
}
