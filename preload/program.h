/* Programs that are started: did this one come with a model? */
#ifndef GUARD_PROGRAM_H
#define GUARD_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* May the file at `path` relative to `dirfd` be started? Judged are native programs (scripts are read by a program of
 * their own) that lie with a model or are one by their name, by the policy's rules for a live "exec" of home "model";
 * the system's, installed packages' and the application's are their own, as with libraries (library.h). Records and
 * says a denial, whose text goes into `message` (NULL, or `size` bytes) as well, but for vfork children, which change
 * nothing. Keeps errno. */
bool program_may_start(int dirfd, const char *path, const char *detail, char *message, size_t size);

/* The same of the program that a shell or a loader (`starter`) is given to run: `sh model.llamafile` does what the
 * file's own start would. It is the first of the words `argv` that is a file, options and their values apart; of a
 * shell's command (-c) none. */
#define PROGRAM_WORDS 16u /* of a command line that are looked at */
bool program_may_hand_on(int dirfd, const char *starter, char *const argv[], const char *detail, char *message,
                         size_t size);

/* The same of the program that a shell's command line begins with, where that is written out (perhaps in quotes). What
 * else the line starts meets the guard in the shell, whose children mostly record nothing. */
bool program_may_start_line(const char *line, const char *detail);

#endif
