/* Native code out of files: whose is it, and may it be loaded? */
#ifndef GUARD_LIBRARY_H
#define GUARD_LIBRARY_H

#include "model.h"

#include <stdbool.h>
#include <stddef.h>

/* May the library at `path` (with a slash in it; "$ORIGIN" undone) be loaded? Judges, records and says a denial, whose
 * text goes into `message` as well. A path that leads nowhere is the loader's to complain about. Any thread; inside the
 * loader's own calls; not within guard's own work. */
bool library_may_load(const char *path, char *message, size_t size);

/* May the file behind `fd` be mapped to be executed? */
bool library_may_map(int fd);

/* The same question of a program that is started: did the file `shown` (absolute, as the program names it; `real`: what
 * the kernel calls it) come with a model? Fills `model` then. What lies in a hub's cache did, and, outside the system's
 * and the packages' folders, what is a model by its name, also in the application's folder; and with `beside` what lies
 * beside weights outside the application's. Vfork children may ask. */
bool library_is_models(const char *shown, const char *real, bool beside, struct model_identity *model);

/* Notes where the interpreter, its packages and the application lie, for threads that may not ask for it. GIL held. To
 * be called on the audit events that come before a library is loaded or a program started. */
void library_note_places(void);

#endif
