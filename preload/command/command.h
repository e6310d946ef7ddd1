/* What the verbs of the `guard` command share. An ordinary program: stdio, malloc and exit are fine here. */
#ifndef GUARD_COMMAND_H
#define GUARD_COMMAND_H

#include "../../policy/policy.h"

#include <stdio.h>
#include <sys/stat.h>

/* One verb each: argv[0] is the verb. They return the exit status. */
int command_run(int argc, char **argv);
int command_scan(int argc, char **argv);
int command_report(int argc, char **argv);
int command_policy(int argc, char **argv);
int command_lock(int argc, char **argv);
int command_learn(int argc, char **argv);

/* Exit statuses. 125 to 127 are those of env, nice, timeout and docker run. */
enum { EXIT_DENIED = 1, EXIT_USAGE = 2, EXIT_OWN_FAILURE = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* "guard VERB: MESSAGE" on stderr. Returns `status`. */
int command_error(int status, const char *verb, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with a pointer to the verb's --help. */
int command_usage(int status, const char *verb, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Loads the policy as the library would: the site's, then `file` (NULL: none). NULL after "guard VERB:
 * FILE:LINE:COLUMN: MESSAGE". */
struct policy *command_load_policy(const char *verb, const char *file);
void command_print_fault(const char *verb, const struct policy_fault *fault);

/* malloc'd, or the program ends for want of memory. */
void *command_memory(size_t bytes);
/* Room for one more behind `count` members of `size` bytes, of which there is `*room`; what was there before
 * is freed. */
void *command_grow(void *members, size_t count, size_t *room, size_t size);
/* Words of a command line. */
struct words {
    const char **list;
    size_t count, room;
};
void words_add(struct words *words, const char *word);
char *command_copy(const char *text);
/* `path` behind the working directory; links are left as they are. */
char *command_absolute(const char *path);

/* Replaces `file`, or what it is a link to, by `text` in one step: a program that starts now reads the old or the new
 * one. Mode and owner stay those of `old`, if there was a file. False with errno. */
bool command_replace_file(const char *file, const char *text, const struct stat *old);

/* Writes `text` to `file` ("-": standard output), by replacing it where it is a regular file. Does nothing when it says
 * that already. False with errno. */
bool command_write_file(const char *file, const char *text);

/* Two that add to a file at the same time would lose what one of them adds. The folder is what they have in common, as
 * the file is replaced; where folders cannot be locked (some network file systems) it stays at that. A descriptor to
 * close, or -1. */
int command_lock_folder(const char *file);

/* Writes `text` for a person: control characters and what is no UTF-8 as \xNN, so that no file name moves a cursor. */
void command_print_visible(FILE *out, const char *text);

/* May `out` show colours? A terminal that is not dumb, and NO_COLOR is not set. */
bool command_colour(FILE *out);

#endif
