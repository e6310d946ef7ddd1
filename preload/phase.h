/* Phases of a process: it starts, it loads models, and once none was opened for a while it serves. */
#ifndef GUARD_PHASE_H
#define GUARD_PHASE_H

#include "../policy/policy.h"
#include "model.h"

/* A file of `model`, at `path`, was judged and may be opened. False: it may not, because the process serves, never
 * opened this model before, and the policy denies that (effect depend, live). One clock reading; a model that was
 * admitted is not judged again. */
bool phase_admits(const struct policy *policy, const struct model_identity *model, const char *path);

#endif
