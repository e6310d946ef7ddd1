/* Objects that restore themselves through a temporary folder of their own (Keras's models with assets). */
#ifndef GUARD_RESTORING_H
#define GUARD_RESTORING_H

#include <stdbool.h>

/* Does a module that the policy lists under "restorers" run here, and does `path`, relative to the descriptor `folder`
 * where it is relative, lie in a temporary folder? GIL held. */
bool restoring_through(const char *path, long folder);

#endif
