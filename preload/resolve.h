/* A name is being resolved by an unpickler (`pickle.find_class`). */
#ifndef GUARD_RESOLVE_H
#define GUARD_RESOLVE_H

#include "python.h"

/* Judges it, settles it when no rule lists it, and raises PermissionError when it is denied. `event_frame`: the stack
 * address of the audit hook. Returns what the audit hook is to return. GIL held. */
int resolve_judge(struct py_object *arguments, uintptr_t event_frame);

#endif
