/* What differs from the lock (GUARD_LOCK). */
#ifndef GUARD_DRIFT_H
#define GUARD_DRIFT_H

#include "../policy/lock.h"
#include "model.h"

struct drift {
    const char *rule; /* static: "lock-changed", "lock-new-file", "lock-new-model", "lock-moved", "lock-no-commit"; NULL: none */
    const char *sha256, *revision; /* those of the lock, or NULL; the lock's own */
    char clause[768];              /* "is not what the lock holds: SHA-256 ... there, ... here" */
};

/* Could opening `path`, whose content is none of a model's, matter to a lock? By its text alone: in a hub cache everything does
 * (vocabularies, a model's Python), elsewhere what tokenizers are made of. */
bool drift_may_concern(const char *path);

/* Ought the lock to list this file, if it lists any of its model? The files of models it ought to, wherever they lie, and pickles
 * outside of folders for temporary files; an application's arrays and texts it ought not. `format` NULL: the content is none of a
 * model's. */
bool drift_counts(const struct model_identity *model, const char *path, const char *format);

/* The drift of a file of `model` of which the lock says `found`; `sha256` NULL or empty: not known. */
void drift_find(const struct lock_found *found, const struct model_identity *model, const char *sha256, struct drift *drift);

#endif
