/* Who asked, from the user's side: which of a thread's Python frames matter to a person. */
#ifndef GUARD_ASKER_H
#define GUARD_ASKER_H

#include "../policy/policy.h"
#include "frames.h"

/* Indexes into the frames (innermost first), -1 where there is none. The standard library's own frames never count. */
struct asker {
    int app;   /* the application's innermost line */
    int entry; /* the installed package that it called */
    int actor; /* the installed package that acts */
};
struct asker asker_find(const struct frame *frames, unsigned count);

/* ORIGIN_APP when the application itself asks, ORIGIN_LIBRARY when an installed package does, else ORIGIN_UNKNOWN. For
 * records: file names can be claimed, so nothing is allowed on the strength of it. */
enum origin asker_origin(const struct frame *frames, unsigned count);

/* Where an installed package's path begins: behind site-packages/ or dist-packages/. NULL for other files. */
const char *asker_installed_part(const char *file);
bool asker_is_standard_library(const char *file);

#endif
