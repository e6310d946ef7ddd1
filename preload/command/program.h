/* What will really be executed for a command, and can the guard load into it? */
#ifndef GUARD_PROGRAM_H
#define GUARD_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

struct program {
    char path[PATH_MAX];       /* what to exec */
    char executable[PATH_MAX]; /* the ELF file that the kernel starts for it: itself, or a script's interpreter */
};

/* Finds `name` as execvp does: by PATH unless it has a slash. 0; or EXIT_NOT_FOUND or EXIT_NOT_EXECUTABLE, with the
 * reason on stderr. */
int program_find(const char *name, struct program *program);

/* Follows "#!" to an ELF file and checks that its dynamic linker is glibc's, of our machine, and will honour
 * LD_PRELOAD. 0, or EXIT_OWN_FAILURE with the reason on stderr. Where the interpreter is env, the program that env will
 * start is checked as well. */
int program_check(struct program *program);

/* Proves that `library` loads into the program: runs its dynamic linker, with the LD_PRELOAD value `preload`, so that
 * it maps everything, prints the list and ends before the program begins. 0, or EXIT_OWN_FAILURE with the reason on
 * stderr. */
int program_canary(const struct program *program, const char *library, const char *preload);

#endif
