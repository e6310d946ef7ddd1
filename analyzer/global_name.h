/* How a pickle's (module, name) is spelt in effects, policies and records, and what fix_imports makes of it. For the
 * live events, which get the two halves from the interpreter; a scan spells its names the same way. */
#ifndef GUARD_GLOBAL_NAME_H
#define GUARD_GLOBAL_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "limits.h"

/* Room for any name, each half cut. */
#define GLOBAL_NAME_SIZE (2 * (LIMIT_NAME + sizeof("...")))

/* Writes "module.name", or "module:qual.name" when the name has dots. Controls, ':' and '\' come out as \xNN, so that
 * no two names look alike; a half that comes out longer than LIMIT_NAME is cut and ends in "...". NUL-terminates. */
void global_name_write(char buffer[GLOBAL_NAME_SIZE], const char *module, size_t module_length, const char *name,
                       size_t name_length);

/* What CPython's unpicklers look up instead below protocol 3. False: the same. Static strings. `to_name` becomes NULL
 * where only the module changes. */
bool global_name_mapped(const char *module, size_t module_length, const char *name, size_t name_length,
                        const char **to_module, const char **to_name);

#endif
