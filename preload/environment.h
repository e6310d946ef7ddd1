/* The environment as it was when the process started, and the one its children get. */
#ifndef GUARD_ENVIRONMENT_H
#define GUARD_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* Longest value kept of one variable; a path is at most PATH_MAX. A longer one is a fault, never cut silently. */
#define ENVIRONMENT_VALUE 4096

/* Copied at start: the program may change or free its own strings. Empty: not set. */
struct environment {
    char mode[32];
    char policy[ENVIRONMENT_VALUE];
    char lock[ENVIRONMENT_VALUE];
    char log[ENVIRONMENT_VALUE];
    char quiet[8];
    char home[ENVIRONMENT_VALUE];    /* HOME */
    char temporary[ENVIRONMENT_VALUE]; /* TMPDIR */
    char inductor[ENVIRONMENT_VALUE];  /* TORCHINDUCTOR_CACHE_DIR */
    char cache[ENVIRONMENT_VALUE];     /* XDG_CACHE_HOME */
    char library[ENVIRONMENT_VALUE]; /* absolute path of libguard.so */
    bool too_long;                   /* a GUARD_ value did not fit */
};
extern struct environment environment;

/* Reads environ and finds the library's own path. Once, from the constructor. */
void environment_capture(void);

/* The environment for a child: `envp` with the guard's library put back into LD_PRELOAD and the GUARD_ variables of the
 * start added where they are missing; entries of the caller are kept. Never touches environ or `envp`. `envp` NULL:
 * empty.
 *
 * environment_child_size gives the bytes of scratch that environment_child needs, or 0 when `envp` may be used as it
 * is. Both are async-signal-safe and work in vfork children. */
size_t environment_child_size(char *const envp[]);
char **environment_child(char *const envp[], void *scratch);

/* The same for a shell's command line, for system() and popen(), which take the environment from environ: a prefix of
 * assignments, exported. 0 when none is needed; else the size of the prefixed command, and the text itself. */
size_t environment_shell_size(const char *command);
const char *environment_shell(const char *command, char *scratch);

#endif
