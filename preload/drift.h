/* What differs from the lock (GUARD_LOCK). */
#ifndef GUARD_DRIFT_H
#define GUARD_DRIFT_H

#include "../policy/lock.h"
#include "model.h"

struct drift {
    const char *rule; /* static: "lock-changed", "lock-new-file", "lock-new-model", "lock-moved", "lock-no-commit",
                         "lock-new-edge"; NULL: none */
    const char *sha256, *revision; /* those of the lock, or NULL; the lock's own */
    char target[512];              /* of an edge: the model to which it leads */
    char clause[768];              /* "is not what the lock holds: SHA-256 ... there, ... here" */
};

/* Could opening `path`, whose content is none of a model's, matter to a lock? By its text alone: in a hub cache
 * everything does (vocabularies, a model's Python), elsewhere what tokenizers are made of. */
bool drift_may_concern(const char *path);

/* Ought the lock to list this file, if it lists any of its model? The files of models it ought to, wherever they lie,
 * and pickles outside of folders for temporary files; an application's arrays and texts it ought not. `format` NULL:
 * the content is none of a model's. */
bool drift_counts(const struct model_identity *model, const char *path, const char *format);

/* The drift of a file of `model` of which the lock says `found`; `sha256` NULL or empty: not known. */
void drift_find(const struct lock_found *found, const struct model_identity *model, const char *sha256,
                struct drift *drift);

/* "lock-new-edge": `from` leads to `to`, both in the lock, and the lock does not say so. `field`: the place in the file
 * that names it; NULL: it was seen to open the other's file. False: nothing new.
 *
 * Only what is certain counts, so that an unchanged run passes whatever thread is quicker. A judged file's content
 * names the other model (an adapter's config, a pickle's call of a loader): compared when the file is judged. An
 * unpickler reads a file of `from` while it opens one of `to`, and no import runs in between, which whoever comes first
 * would run. Python that came with `from` opens a file of `to`, which nobody has named and to which no model of the
 * lock leads: the same file may have been opened first for another that names it. That a model was named by one and
 * opened on behalf of another, or by the application itself, is compared with nothing: who of several asks first is
 * chance. */
bool drift_new_edge(const struct lock *lock, const char *from, const char *to, const char *field, struct drift *drift);

/* "lock-no-commit": a file of `from` names `to` without a commit, and in the lock it has one wherever they name it. */
bool drift_lost_pin(const struct lock *lock, const char *from, const char *to, const char *field, struct drift *drift);

#endif
