/* Whose code does a frame object run? By identity, because names can be claimed. GIL held. */
#ifndef GUARD_FRAME_MODULE_H
#define GUARD_FRAME_MODULE_H

#include "../policy/policy.h"
#include "python.h"

/* Is the frame's module, in truth and not only by __name__, one of those that `list` lists? `package`: its outermost
 * package is looked for instead ("transformers" for transformers.models.auto). */
bool frame_listed(struct py_object *frame, enum module_list list, bool package);

/* Who asked for the import under way: the innermost frame that is not importlib's, as a new reference; NULL: nobody. */
struct py_object *frame_importer(void);

/* The module that importlib executes right now (event "exec"): its __spec__'s origin as a new reference to a str, NULL
 * when importlib executes none or knows no place for it. What the code object calls its file proves nothing: a .pyc
 * without a source beside it can claim any. */
struct py_object *frame_executed_origin(void);

#endif
