/* What a pickle takes of objects and classes by getattr(): names that no audit event tells of, because no unpickler
 * resolves them.
 *
 * The name of getattr itself is resolved, once in each pickle. Then the bytes are read ahead, and what they will take
 * is judged as if it were resolved. */
#ifndef GUARD_ATTRIBUTES_H
#define GUARD_ATTRIBUTES_H

#include "judge.h"

/* Is this name getattr's? */
bool attributes_taken_by(const char *name);

/* Judges what the unpickler that is resolving getattr will do, by the rules for `subject`'s origin. Points `worst` to
 * the worst denial, which lies in what is returned, to be given back with attributes_release(); NULL: there is none.
 * GIL held, below the audit event, not inside guard_enter(): settling names imports modules. */
struct judged *attributes_judge(const struct policy *policy, const struct subject *subject,
                                const struct finding **worst);
void attributes_release(struct judged *judged);

#endif
