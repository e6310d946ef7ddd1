/* Which model leads to which, as a lock's "dependencies" say; for lock.c. */
#ifndef GUARD_LOCK_EDGES_H
#define GUARD_LOCK_EDGES_H

#include "lock.h"
#include "rules.h"

struct lock_edges {
    struct lock_edge *list; /* by the ids of models, sorted, each once; strings are the BOM's */
    size_t count;
    bool stated; /* the BOM says what depends on what */
};

/* Reads those between models, whose ids are the property LOCK_MODEL of components; what else depends on something is
 * passed over. False: no memory. */
bool lock_edges_take(const cJSON *root, struct lock_edges *edges);

const struct lock_edge *lock_edges_find(const struct lock_edges *edges, const char *from,
                                        const char *to); /* NULL: none */

/* The next property `name` of a component or of metadata behind `from` (NULL: the first), or NULL. */
const cJSON *lock_property_next(const cJSON *object, const cJSON *from, const char *name);
/* The value of the first; NULL: none. */
const char *lock_property(const cJSON *object, const char *name);

#endif
