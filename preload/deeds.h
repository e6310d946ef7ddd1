/* Deeds below an unpickler, as the interpreter's audit events tell them: processes, connections, writes, native
 * code. */
#ifndef GUARD_DEEDS_H
#define GUARD_DEEDS_H

#include "python.h"

/* Judges an event on a thread that is (or was) inside an unpickler; raises PermissionError when it is denied. Returns
 * what the audit hook is to return. GIL held. */
int deeds_judge(const char *event, struct py_object *arguments);

#endif
