/* A lock: which models, at which commit, with which files, a program may load. Its text is a CycloneDX 1.6 ML-BOM as
 * `guard lock` writes it (see LOCK_* below for what counts in it). Judges nothing but sameness; the policy is asked
 * besides.
 *
 * Like a policy: opens no file; immutable once loaded, for any number of threads; memory by malloc. */
#ifndef GUARD_LOCK_H
#define GUARD_LOCK_H

#include "policy.h"

/* Names of CycloneDX properties. In metadata.properties: the version of this use of CycloneDX, and the model globs that
 * the lock speaks of (none: all models). In a component of type machine-learning-model: its id and its commit, and the
 * bom-refs of the dependencies that its files name with a commit, never without. A model's files are its
 * nested components of type "file": name (the path inside the model) and SHA-256. "dependencies" say which model leads
 * to which. */
#define LOCK_VERSION "guard:lock"
#define LOCK_SCOPE "guard:scope"
#define LOCK_MODEL "guard:model"
#define LOCK_COMMIT "guard:commit"
#define LOCK_PINNED "guard:pinned"

struct lock;

/* NULL on a fault (filled in). The text may go afterwards. */
struct lock *lock_load(const struct policy_text *text, struct policy_fault *fault);
void lock_free(struct lock *lock);

/* What the lock says of a file. "file:FOLDER" models are told by the end of their folder, however far the lock knows
 * it: a lock made in one place holds in another. */
enum lock_state {
    LOCK_OUTSIDE,   /* not in the lock's scope */
    LOCK_NO_MODEL,  /* the lock does not have the model */
    LOCK_MOVED,     /* it has it at another commit */
    LOCK_NO_COMMIT, /* it has it at a commit; the file comes from none */
    LOCK_NO_FILE,   /* it has the model and not the file */
    LOCK_FILE       /* it has the file */
};
struct lock_found {
    enum lock_state state;
    const char *model;    /* as the lock knows it; NULL where it does not. Strings belong to the lock */
    const char *revision; /* MOVED, NO_COMMIT: the commit that it has; NULL: none */
    const char *sha256;   /* FILE: 64 hexadecimal digits */
};
/* `revision` NULL or empty: none. */
struct lock_found lock_find(const struct lock *lock, const char *model, const char *revision, const char *inside);

/* Does the model `from` lead to the model `to`, going by what the lock says of them? At whatever commits: those are
 * files' business. */
enum lock_led {
    LOCK_LED_UNKNOWN, /* the lock does not have both, or does not say what depends on what */
    LOCK_LED_NOT,
    LOCK_LED
};
enum lock_led lock_leads(const struct lock *lock, const char *from, const char *to);

/* Do the files of `from` name `to` with a commit, going by the lock? */
bool lock_pins(const struct lock *lock, const char *from, const char *to);

/* Does any other model of the lock lead to `to`? */
bool lock_led_to(const struct lock *lock, const char *to);

/* Is there a file of this content, whatever it is called? */
bool lock_has_content(const struct lock *lock, const char *sha256);

/* For those who read a lock whole. */
size_t lock_models(const struct lock *lock);
size_t lock_scopes(const struct lock *lock);
const char *lock_scope(const struct lock *lock, size_t number);
struct lock_model {
    const char *id, *revision; /* revision NULL: none */
    const struct lock_file {
        const char *inside, *sha256;
    } *files; /* sorted by `inside` */
    size_t file_count;
};
const struct lock_model *lock_model(const struct lock *lock, size_t number); /* sorted by id, then revision */

size_t lock_edge_count(const struct lock *lock);
struct lock_edge {
    const char *from, *to; /* ids of models */
    bool pinned;           /* named with a commit, never without */
};
const struct lock_edge *lock_edge(const struct lock *lock, size_t number); /* sorted, each once */

/* Does a pattern among `globs` match the model's id? Without globs all models are meant; data sets of a hub
 * are none. */
bool lock_in_scope(const char *const globs[], size_t count, const char *model);

/* Is `folder` ("file:/srv/models/base") the one that the lock calls `known` ("file:models/base")? */
bool lock_same_folder(const char *known, const char *folder);

#endif
