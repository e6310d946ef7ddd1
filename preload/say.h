/* Lines for people, on standard error. */
#ifndef GUARD_SAY_H
#define GUARD_SAY_H

#include "../policy/policy.h"
#include "frames.h"

/* Remembers what stands behind descriptors 1 and 2, and whether 2 is a terminal. From the constructor. */
void say_start(void);

/* Writes to descriptor 1 or 2, unless something else stands there now than at the start (a daemon closed it and the
 * number became a data file). */
bool say_raw(int fd, const char *text, size_t length);

/* What a denial (or, in audit, a would-be denial) says. */
struct say_denial {
    const char *what;   /* absolute path (shown from the working directory), or the name being resolved */
    const char *clause; /* `calls posix.system("id")` */
    const char *rule;
    const struct frame *frames;
    unsigned frame_count;
    bool would;         /* audit */
    bool drift;         /* the lock denies it: the second line says how to renew the lock */
    /* for the second line; effect NULL: none is printed (an attack) */
    const char *effect, *name, *model, *revision, *sha256; /* the last three NULL where not known */
};

/* Composes "guard: denied ..." without a newline; returns the length. Also the text of Python exceptions. */
size_t say_compose(const struct say_denial *denial, char *buffer, size_t size);

/* Prints it, with the hint on how to allow it; the same line again is only counted. GUARD_QUIET silences. */
void say_denial(const struct say_denial *denial);

/* One line "guard: TEXT SUBJECT: strerror". Once per process and text. */
void say_fault(const char *text, const char *subject, int error);

/* On a terminal, at exit, one line if there was anything to say. */
void say_summary(unsigned long judged, unsigned long denied, unsigned long warned, bool audit);

#endif
