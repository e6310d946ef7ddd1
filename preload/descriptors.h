/* What is known of descriptors, by number: a saving, never a proof. */
#ifndef GUARD_DESCRIPTORS_H
#define GUARD_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers above are always unknown, and cost an fstat a read. Zero pages until touched. */
#define DESCRIPTORS_MAX 65536

enum {
    DESCRIPTOR_UNKNOWN = 0, /* judge at the first read or mapping */
    DESCRIPTOR_PLAIN = 1,   /* nothing to judge: no model, or no file */
    DESCRIPTOR_SEALED = 2   /* and above: the number of its verdict plus DESCRIPTOR_SEALED (verdicts.h) */
};

extern uint16_t descriptors[DESCRIPTORS_MAX];
/* No number above this one is known: close_range() up to the last possible descriptor is what every subprocess begins
 * with. */
extern uint32_t descriptors_highest;

static inline unsigned descriptor_state(int fd)
{
    return (unsigned)fd < DESCRIPTORS_MAX ? __atomic_load_n(&descriptors[fd], __ATOMIC_RELAXED) : DESCRIPTOR_UNKNOWN;
}

/* Forgetting is safe at any time, in vfork children too: the next read judges again. Storing needs the file in hand. */
static inline void descriptor_set(int fd, unsigned state)
{
    if ((unsigned)fd >= DESCRIPTORS_MAX || __atomic_load_n(&descriptors[fd], __ATOMIC_RELAXED) == state)
        return;
    uint32_t highest = __atomic_load_n(&descriptors_highest, __ATOMIC_RELAXED);
    while ((uint32_t)fd > highest && !__atomic_compare_exchange_n(&descriptors_highest, &highest, (uint32_t)fd, true,
                                                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    __atomic_store_n(&descriptors[fd], (uint16_t)state, __ATOMIC_RELAXED);
}

/* Forgets the numbers first..last. */
void descriptors_forget(unsigned first, unsigned last);

#endif
