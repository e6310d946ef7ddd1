/* Between native.c and unwind_wrap.c: what libunwind gets instead of the outside world. */
#ifndef GUARD_NATIVE_OUTSIDE_H
#define GUARD_NATIVE_OUTSIDE_H

#include <link.h>
#include <stddef.h>

/* Ends the walk under way on this thread. To be called from below native_walk() only. */
void native_abort(void) __attribute__((noreturn));

/* dl_iterate_phdr for libunwind's search, which begins with the address sought: visits the one object that holds it,
 * without the loader's lock where glibc offers that. A forked child could find the lock held by a thread it does not
 * have. */
int native_objects(int (*visit)(struct dl_phdr_info *, size_t, void *), void *search);

#endif
