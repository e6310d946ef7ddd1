/* What the verbs of the `guard` command share. An ordinary program: stdio, malloc and exit are fine here. */
#ifndef GUARD_COMMAND_H
#define GUARD_COMMAND_H

#include "../../policy/policy.h"

#include <stdio.h>

/* One verb each: argv[0] is the verb. They return the exit status. */
int command_run(int argc, char **argv);
int command_scan(int argc, char **argv);
int command_policy(int argc, char **argv);

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
char *command_copy(const char *text);
/* `path` behind the working directory; links are left as they are. */
char *command_absolute(const char *path);

/* Writes `text` for a person: control characters and what is no UTF-8 as \xNN, so that no file name moves a cursor. */
void command_print_visible(FILE *out, const char *text);

/* May `out` show colours? A terminal that is not dumb, and NO_COLOR is not set. */
bool command_colour(FILE *out);

#endif
