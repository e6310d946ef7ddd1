/* Which functions are unpicklers: the C one by its addresses, the one in Python by its code object. */
#ifndef GUARD_UNPICKLER_LEARN_H
#define GUARD_UNPICKLER_LEARN_H

#include <stdbool.h>
#include <stdint.h>

/* Learns the C unpickler, if the program imported _pickle and it is not learnt yet. GIL held. */
void unpickler_learn(void);

/* The audit hook hands in events while unpickler_learning(): the stack of this one is looked at. */
void unpickler_learn_event(void);

/* Looks for pickle.py's (again). GIL held. */
void unpickler_learn_pure(void);

/* The interpreter ends: what was learnt of it is another's next time. */
void unpickler_forget(void);

/* Is the C unpickler known, and is this return address within it? Async-safe. */
bool unpickler_known(void);
bool unpickler_is(uintptr_t ip);

/* The code objects of pickle._Unpickler.load; kept alive for good. Async-safe. */
unsigned unpickler_pure_codes(const void *const **codes);

/* Does this return address lie in the C function behind every import statement? Async-safe. */
bool importer_is(uintptr_t ip);

/* Learns whose frames stand below an import, unless that is known. GIL held. */
void unpickler_learn_importer(void);

/* The code object of importlib's _find_and_load, through which import_module() passes too; NULL before it
 * was learnt. */
const void *importer_code(void);

#endif
