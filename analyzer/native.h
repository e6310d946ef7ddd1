/* Programs and shared objects. */
#ifndef GUARD_NATIVE_H
#define GUARD_NATIVE_H

#include "format.h"

/* Do the first bytes of a file say that it is native code: ELF, PE, Mach-O, or Cosmopolitan's "actually portable
 * executables"? */
bool native_begins(const unsigned char *head, size_t length);

#endif
