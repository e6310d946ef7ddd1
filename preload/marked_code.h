/* Code that came out of a file: functions that an unpickler made, marshalled lambdas, a model's own Python. Told by the
 * identity of its code objects, because code can claim any file name. */
#ifndef GUARD_MARKED_CODE_H
#define GUARD_MARKED_CODE_H

#include "../policy/policy.h"
#include "python.h"

/* Marks a code object and those nested in it, for good (a reference is kept, so that no other code ever has its
 * address). Whoever runs it from now on asks as `origin`; the first mark stays. GIL held. */
void marked_code_add(struct py_object *code, enum origin origin);

/* ("function.__new__", code): is the caller a function that unmarshals the code that it makes functions of, as Keras
 * does with lambdas? Then the code is marked with ORIGIN_LAMBDA. GIL held. */
void marked_code_made(struct py_object *arguments);

/* The origin that `code` was marked with, or ORIGIN_UNKNOWN. Compares addresses only; async-safe. */
enum origin marked_code_origin(const void *code);

/* Is any code marked in this process? Async-safe. */
bool marked_code_any(void);

/* The interpreter ends, and its code with it. */
void marked_code_forget(void);

#endif
