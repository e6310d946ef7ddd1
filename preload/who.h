/* Who asks? The one answer for every sensitive action, given nothing but the calling thread.
 *
 * An unpickler on this thread comes first, then TorchScript's interpreter or an
 * operator of a TensorFlow graph, then the innermost code that came out of a
 * file (marked_code.h) or that Jinja made of a text, then the origin of whoever started this thread. Everybody else is
 * the program itself: ORIGIN_UNKNOWN, which records refine to "app" or "library". */
#ifndef GUARD_WHO_H
#define GUARD_WHO_H

#include "../policy/policy.h"
#include "graph.h"
#include "marked_code.h"
#include "thread.h"
#include "torchscript.h"

/* A file of those in which chat templates come was judged: from now on the code that Jinja made of a text is a
 * template's. */
extern bool who_templates;
static inline void who_note_template(void) { __atomic_store_n(&who_templates, true, __ATOMIC_RELAXED); }

/* Can it be anybody but the program itself? For hot paths: two words of this thread's and some of the process's. Audit
 * events are raised by Python alone, hooks are reached by everybody. */
static inline bool who_suspected_in_python(void)
{
    return guard_thread.unpickler_origin != 0 || guard_thread.inherited != 0 || marked_code_any() ||
           __atomic_load_n(&who_templates, __ATOMIC_RELAXED);
}
static inline bool who_suspected(void) { return who_suspected_in_python() || torchscript_known() || graph_known(); }

/* A first answer, quick: it may believe a little too long in an unpickler that has returned. Async-signal-safe, any
 * thread, any hook, GIL held or not. */
enum origin who_guess(void);

/* The same by looking at the stacks; to be asked before anything is denied. ORIGIN_IMPORT: an import runs above
 * whoever it is, and what a module does while it is imported is its own doing. Microseconds; any hook, GIL or not. */
enum origin who_asks(void);

/* Is it code that an unpickler made, or a marshalled lambda, and no unpickler? Such code may be a finalizer or a
 * handler itself, so that to interrupt somebody is no excuse for it. */
bool who_made_of_file(void);

/* The origin that a thread gets which is started here and now: who_asks(), or ORIGIN_UNKNOWN where nothing is passed
 * on (the program itself, its imports, ipc, a library's thread for everybody). */
enum origin who_passes_on(void);

#endif
