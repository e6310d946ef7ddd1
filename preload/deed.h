/* A deed: something done to the outside now. One piece judges it and acts on it, whoever carries the news: libc's
 * hooks, which answer EACCES, or the interpreter's audit events, which raise PermissionError (deeds.h). */
#ifndef GUARD_DEED_H
#define GUARD_DEED_H

#include "who.h"

#include <errno.h>
#include <fcntl.h>

struct deed {
    enum effect_kind kind; /* EFFECT_EXEC, EFFECT_CONNECT, EFFECT_WRITE, EFFECT_NATIVE, EFFECT_READ or EFFECT_CODE */
    const char *what;      /* path, address or command as the program gave it; EFFECT_CODE: a token */
    const char *detail;    /* the call or event that does it */
    long folder; /* EFFECT_WRITE: the descriptor from which a relative path starts; negative: the working directory */
    bool update;           /* EFFECT_WRITE: opens what is there to change it, and neither creates nor empties it */
};

/* Do an open's flags let a file be created or changed, and if so, only changed? */
static inline bool deed_opens(long flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}
static inline bool deed_updates(long flags) { return (flags & (O_CREAT | O_TRUNC)) == 0; }

/* Is it allowed? Judged by the policy with who_guess(), and before a denial with who_asks(); recorded when not trivial.
 * `excused` (NULL: nothing more) is asked last, outside guard's section: does it interrupt whoever asks, and so is
 * another's doing, or does whoever asks need it? False: not allowed, and `message` (NULL, or `size` bytes) says why;
 * only in enforce mode. Call where who_suspected(). */
bool deed_judge(const struct deed *deed, bool (*excused)(const struct deed *deed), char *message, size_t size);

/* For hooks, before the real call: may this thread do it? False: errno is EACCES, and the hook fails. What an audit
 * event of the same Python code just judged is not judged again. Any thread, vfork children too (which record nothing);
 * keeps errno otherwise. */
bool deed_may_suspect(const struct deed *deed);
static inline bool deed_may(enum effect_kind kind, const char *what, const char *detail)
{
    struct deed deed = {kind, what, detail, -1, false};
    return !who_suspected() || deed_may_suspect(&deed);
}

/* The same for functions that answer by their value and leave errno alone. */
static inline bool deed_may_by_value(enum effect_kind kind, const char *what, const char *detail)
{
    int saved_errno = errno;
    bool may = deed_may(kind, what, detail);
    errno = saved_errno;
    return may;
}

/* For audit events: this deed was judged and goes on, to libc perhaps. */
void deed_judged(const struct deed *deed);

#endif
