/* What this process counted, for the line at exit and the record of a swallowed denial. */
#ifndef GUARD_TALLY_H
#define GUARD_TALLY_H

#include <stddef.h>

struct tally {
    unsigned long judged, denied, warned;
    unsigned long unanswered; /* denials after which the program has not been seen to go on */
};
extern struct tally tally;

static inline void tally_add(unsigned long *counter)
{
    if (counter)
        __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

#endif
