/* A name is being resolved by an unpickler (`pickle.find_class`). */
#ifndef GUARD_RESOLVE_H
#define GUARD_RESOLVE_H

#include "../policy/policy.h"
#include "python.h"

/* Judges it, settles it when no rule lists it, and raises PermissionError when it is denied. `event_frame`: the stack
 * address of the audit hook. Returns what the audit hook is to return. GIL held. */
int resolve_judge(struct py_object *arguments, uintptr_t event_frame);

/* Judges again what no rule lists by what `module` and `name` are: sets the subject's home and object. Not inside
 * guard_enter(). */
void resolve_settle(const struct policy *policy, struct subject *subject, const char *module, const char *name,
                    struct judgement *judgement);

#endif
