/* Native code out of files: whose is it, and may it be loaded? */
#ifndef GUARD_LIBRARY_H
#define GUARD_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* May the library at `path` (with a slash in it; "$ORIGIN" undone) be loaded? Judges, records and says a denial, whose text
 * goes into `message` as well. A path that leads nowhere is the loader's to complain about. Any thread; inside the loader's own
 * calls; not within guard's own work. */
bool library_may_load(const char *path, char *message, size_t size);

/* May the file behind `fd` be mapped to be executed? */
bool library_may_map(int fd);

/* Notes where the interpreter, its packages and the application lie, for threads that may not ask for it. GIL held. To be
 * called on the audit events that come before a library is loaded. */
void library_note_places(void);

#endif
