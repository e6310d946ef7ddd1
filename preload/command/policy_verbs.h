/* The verbs of `guard policy` that have a file of their own. */
#ifndef GUARD_POLICY_VERBS_H
#define GUARD_POLICY_VERBS_H

#include "command.h"

/* argv[0] is the verb; they return the exit status. */
int policy_explain(int argc, char **argv);
int policy_add(int argc, char **argv);

/* Reads `--policy FILE` and --help; optind is then at the first argument. -1 to go on, else the exit status. */
int policy_option(int argc, char **argv, const char **file);

/* Writes {"file": ..., "policy": TEXT}, with a comma, of a policy that has just been loaded. A file that is not there
 * is nothing unless `needed`. False, said on stderr, when it cannot be read. */
bool policy_print_file(const char *file, bool needed);

/* The whole of `file`, malloc'd and NUL-terminated, or NULL with errno. */
char *policy_read_file(const char *file, size_t *length);

#endif
