/* The parts of `guard lock`. */
#ifndef GUARD_LOCK_VERB_H
#define GUARD_LOCK_VERB_H

#include "../../policy/lock.h"
#include "inventory.h"

#include <stdio.h>

/* The lock as CycloneDX JSON, malloc'd: models and files sorted, nothing in it that another run over the same files
 * would change. */
char *lock_print(const struct inventory *inventory);

/* Fills the hashes that records did not bring, from the files themselves; judges them as the library will, so that it
 * finds them in its cache of hashes. Files that cannot be hashed are said on stderr and left out. How many
 * those are. */
size_t lock_hash(struct inventory *inventory, const struct policy *policy);

/* Takes over what is still true of an old lock: models that the logs do not tell of, and further files of those they
 * do, as they are now, and what of them leads to what. A model that moved to another commit leaves the old one behind.
 * Before lock_hash(). */
void lock_keep(struct inventory *inventory, const struct lock *old);

/* Says on `out` what differs, line by line. Returns whether anything does. `old` NULL: nothing to compare with. */
bool lock_print_changes(FILE *out, const struct lock *old, const struct lock *new);

#endif
