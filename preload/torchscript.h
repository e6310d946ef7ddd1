/* Does TorchScript's interpreter run on this thread? What a TorchScript program does raises no audit event, because no Python
 * takes part: its frames on the native stack tell. */
#ifndef GUARD_TORCHSCRIPT_H
#define GUARD_TORCHSCRIPT_H

#include <stdbool.h>

/* libtorch is loaded and its interpreter was found. Set once. */
extern bool torchscript_found;
static inline bool torchscript_known(void) { return __atomic_load_n(&torchscript_found, __ATOMIC_ACQUIRE); }

/* Looks for libtorch, unless it was found before. Calls the loader: from dlopen hooks, and where a TorchScript file was
 * judged. */
void torchscript_look(void);

/* Is the innermost interpreter on this thread's stack TorchScript's? False when Python stands between (a method that
 * TorchScript left to Python). Any hook; microseconds, of which a thread that runs Python pays one or two. */
bool torchscript_running(void);

#endif
