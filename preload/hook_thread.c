/* Starting threads. What an unpickler, or code that came out of a file, starts goes on asking in its name. */
#define _GNU_SOURCE
#include "guard.h"
#include "raw.h"
#include "real.h"
#include "who.h"

#include <errno.h>

/* What the new thread is to do, and for whom; in a mapping that it gives back. */
struct begin {
    void *(*start)(void *);
    void *argument;
    enum origin origin;
};

static void *begin_thread(void *context)
{
    struct begin begin = *(struct begin *)context;
    raw_give(NULL, context, sizeof begin);
    guard_thread.inherited = (uint8_t)begin.origin;
    return begin.start(begin.argument);
}

static struct begin *passed_on(void *(*start)(void *), void *argument)
{
    struct guard_section section = guard_enter();
    enum origin origin = guard_borrowed_memory() ? ORIGIN_UNKNOWN : who_passes_on();
    struct begin *begin = origin != ORIGIN_UNKNOWN ? raw_take(NULL, sizeof *begin) : NULL;
    if (begin)
        *begin = (struct begin){start, argument, origin};
    guard_leave(section);
    return begin;
}

int hook_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    /* Before glibc 2.34 it lies in a library of its own, which may come after our constructor. */
    REAL_NEED(pthread_create, ENOSYS);
    struct begin *begin = guard_may_judge() && who_suspected() ? passed_on(start, argument) : NULL;
    if (!begin)
        return real.pthread_create(thread, attributes, start, argument);
    int failed = real.pthread_create(thread, attributes, begin_thread, begin);
    if (failed)
        raw_give(NULL, begin, sizeof *begin);
    return failed;
}
