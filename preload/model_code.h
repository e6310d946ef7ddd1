/* Python that came with a model, at the moment it is executed. */
#ifndef GUARD_MODEL_CODE_H
#define GUARD_MODEL_CODE_H

#include "python.h"

/* For the audit event "exec" (GIL held), which importlib raises for each module that it executes. Code from a hub
 * cache, from the copies that transformers and diffusers make of it, or from a model's folder is judged as the effect
 * `code python`, with the SHA-256 of the source file; what is allowed must also be what that source compiles to,
 * because importlib prefers a .pyc beside it and believes its file times. The application's own code, installed
 * packages and the standard library pass. Returns 0, or -1 with PermissionError raised. */
int model_code_judge(struct py_object *arguments);

#endif
