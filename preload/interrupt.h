/* What may interrupt an unpickler without being its doing. GIL held; to be asked only before something is denied. */
#ifndef GUARD_INTERRUPT_H
#define GUARD_INTERRUPT_H

#include <stdbool.h>

/* Is the garbage collector in the middle of a collection, so that a finalizer may be what runs? While it collects, a
 * call for a collection of the youngest generation does nothing, and gc.get_stats() shows that. May run a collection
 * otherwise: not to be called inside guard_enter(). */
bool interrupt_collecting(void);

/* Does a handler that the program set by signal.signal(), and that is no code out of a file, run above the
 * unpickler? */
bool interrupt_signal(void);

#endif
