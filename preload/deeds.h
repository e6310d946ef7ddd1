/* Deeds as the interpreter's audit events tell them: processes, connections, writes, native code. */
#ifndef GUARD_DEEDS_H
#define GUARD_DEEDS_H

#include "python.h"

/* Judges an event on a thread where who_suspected(); raises PermissionError when it is denied. Marks code that an
 * unpickler was allowed to make. Returns what the audit hook is to return. GIL held. */
int deeds_judge(const char *event, struct py_object *arguments);

/* Judges ("subprocess.Popen", executable, arguments, folder, environment) whoever asks: may that be started
 * (program.h)? The child that does it may run on borrowed memory, and cannot record. As deeds_judge() otherwise. */
int deeds_judge_start(struct py_object *arguments);

#endif
