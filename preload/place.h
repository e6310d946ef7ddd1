/* Where does a path lie? Text only. */
#ifndef GUARD_PLACE_H
#define GUARD_PLACE_H

#include <stdbool.h>

struct stat;

/* Does `path` lie in `folder`? An empty folder, and "/", hold nothing. */
bool place_within(const char *path, const char *folder);

/* Does the folder's name say that it is one of Python's for installed packages? */
bool place_site_packages(const char *folder);

/* Does it lie where everybody may write: a temporary folder? */
bool place_temporary(const char *path);

/* Is the file `real` (as the kernel calls it) one of the caches that libraries write for themselves (policy "caches"),
 * in its place, and written by this very user? Loads the policy; may list the file's folder. */
bool place_own_cache(const char *real, const struct stat *status);

#endif
