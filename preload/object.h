/* Which loaded object holds an address. Takes the loader's lock (dladdr). */
#ifndef GUARD_OBJECT_H
#define GUARD_OBJECT_H

#include <stdbool.h>

/* Where the object is mapped that holds `address`, NULL: none does. `symbol` (NULL: not wanted): its exported symbol
 * there, or NULL. */
const void *object_base(const void *address, const char **symbol);

/* Is the object mapped at `base` the interpreter, or the executable? */
bool object_is_program(const void *base);

#endif
