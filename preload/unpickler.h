/* Is this thread inside an unpickler, and whose bytes does it read?
 *
 * Nothing can run inside an unpickler before it resolved a name, and resolving a name is an audit event. So each
 * thread remembers, from that event, where on its stack the unpickler's `load` stands: its canonical frame address and
 * the return address stored there. Later questions compare two words. Before anything is denied for being inside, the
 * native stack is walked and has to agree (unpickler_prove). */
#ifndef GUARD_UNPICKLER_H
#define GUARD_UNPICKLER_H

#include "../policy/policy.h"

struct unpickler_info {
    enum origin origin;  /* ORIGIN_UNPICKLER, ORIGIN_IPC or ORIGIN_CACHE */
    bool pure;           /* the one written in Python (joblib, pandas), seen in the Python frames */
};

/* Quick and without the GIL, any thread, any hook, async-signal-safe: two loads and a compare where this thread never
 * unpickled. May say yes a little too long after an unpickler returned. False leaves `info` alone; `info` may be
 * NULL. */
bool unpickler_inside(struct unpickler_info *info);

/* Asks the stacks themselves whether an unpickler is on this thread; to be asked before denying. Forgets what turns
 * out to be stale. Walks the native stack (microseconds) where unpickler_inside() says yes. Any hook, GIL or not. */
bool unpickler_prove(struct unpickler_info *info);

/* unpickler_prove()'s origin, or ORIGIN_UNKNOWN outside. */
enum origin unpickler_origin(void);

/* --- below an audit event only (GIL held) --- */

/* Notes the unpickler that raised `pickle.find_class`; returns its origin (never ORIGIN_UNKNOWN). `event_frame` is the
 * stack address of the audit hook's own frame. Learns the C unpickler's address the first time. */
enum origin unpickler_resolving(uintptr_t event_frame);

/* The same by looking at the stacks, whatever was remembered: before a denial. */
enum origin unpickler_resolving_afresh(void);

/* Does an import run between here and the innermost unpickler? What an allowed module does while it is imported is its
 * own doing. Frames are told by identity; a file name proves nothing. Walks the native stack. */
bool unpickler_importing(void);

/* Does one of the Python frames above the innermost unpickler run `code`? */
bool unpickler_runs_above(const void *code);

/* A lesson is under way on this thread: its events go to unpickler_learn_event() and are not judged. */
bool unpickler_learning(void);

#endif
