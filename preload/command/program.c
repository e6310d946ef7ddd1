#define _GNU_SOURCE
#include "program.h"

#include "command.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* fs/exec.c follows at most this many "#!". */
#define SCRIPT_DEPTH 5
/* BINPRM_BUF_SIZE: the kernel reads no more of a "#!" line. */
#define SCRIPT_LINE 256
/* Program headers of any real executable: about 13. */
#define SEGMENTS_MAX 128

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#error "guard knows the machines x86-64 and aarch64 only"
#endif

static bool is_executable_file(const char *path, int *error)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        *error = errno;
        return false;
    }
    *error = S_ISREG(status.st_mode) ? 0 : EACCES;
    if (*error == 0 && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
        *error = errno;
    return *error == 0;
}

static bool path_set(char to[PATH_MAX], const char *folder, size_t folder_length, const char *name)
{
    size_t length = strlen(name);

    if (folder_length + 1 + length >= PATH_MAX)
        return false;
    memcpy(to, folder, folder_length);
    if (folder_length > 0)
        to[folder_length++] = '/';
    memcpy(to + folder_length, name, length + 1);
    return true;
}

/* Looks `name` up like execvp: an entry that may not be executed does not end the search. 0 or an errno. */
static int search(const char *name, char found[PATH_MAX])
{
    char standard[PATH_MAX];
    const char *folders = getenv("PATH");
    int error, worst = ENOENT;

    if (strchr(name, '/')) {
        if (!path_set(found, "", 0, name))
            return ENAMETOOLONG;
        return is_executable_file(found, &error) ? 0 : error;
    }
    if (name[0] == '\0')
        return ENOENT;
    if (!folders) {
        confstr(_CS_PATH, standard, sizeof(standard));
        folders = standard;
    }
    for (const char *at = folders;; at++) {
        size_t length = strcspn(at, ":");
        const char *folder = length > 0 ? at : ".";
        if (path_set(found, folder, length > 0 ? length : 1, name)) {
            if (is_executable_file(found, &error))
                return 0;
            if (error == EACCES)
                worst = EACCES;
        }
        at += length;
        if (*at == '\0')
            return worst;
    }
}

int program_find(const char *name, struct program *program)
{
    int error = search(name, program->path);

    if (error == 0)
        return 0;
    return command_error(error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "run", "%s: %s",
                         name, strerror(error));
}

static int refuse(const char *path, const char *why)
{
    return command_error(EXIT_OWN_FAILURE, "run", "%s: %s", path, why);
}

/* Will the kernel ask the dynamic linker to ignore LD_PRELOAD (AT_SECURE)? */
static bool gains_privileges(int fd, const struct stat *status)
{
    char capabilities[64];

    if ((status->st_mode & S_ISUID) && status->st_uid != geteuid())
        return true;
    /* Without group execute permission the bit means mandatory locking. */
    if ((status->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && status->st_gid != getegid())
        return true;
    return geteuid() != 0 && fgetxattr(fd, "security.capability", capabilities, sizeof(capabilities)) > 0;
}

/* Reads PT_INTERP into `linker`; empty when there is none. False when the file is damaged. */
static bool linker_read(int fd, const ElfW(Ehdr) *header, char linker[PATH_MAX])
{
    ElfW(Phdr) segments[SEGMENTS_MAX];
    size_t size = header->e_phnum * sizeof(*segments);

    linker[0] = '\0';
    if (header->e_phentsize != sizeof(*segments) || header->e_phnum > SEGMENTS_MAX ||
        pread(fd, segments, size, (off_t)header->e_phoff) != (ssize_t)size)
        return false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type != PT_INTERP)
            continue;
        size_t length = segments[i].p_filesz;
        if (length < 2 || length > PATH_MAX ||
            pread(fd, linker, length, (off_t)segments[i].p_offset) != (ssize_t)length)
            return false;
        return linker[length - 1] == '\0';
    }
    return true;
}

static int check_elf(const char *path, int fd)
{
    ElfW(Ehdr) header;
    struct stat status;
    char linker[PATH_MAX];

    if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
        return refuse(path, "the program is damaged");
    if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || header.e_machine != OUR_MACHINE)
        return refuse(path, "the program is for another machine than this guard, which cannot load into it");
    if (fstat(fd, &status) < 0)
        return refuse(path, strerror(errno));
    if (gains_privileges(fd, &status))
        return refuse(path,
                      "the program gains privileges (set-user-ID, set-group-ID or capabilities), so the system ignores "
                      "LD_PRELOAD for it");
    if (!linker_read(fd, &header, linker))
        return refuse(path, "the program is damaged");
    if (linker[0] == '\0')
        return refuse(path, "the program is statically linked: no guard can be preloaded into it");
    const char *slash = strrchr(linker, '/');
    if (strncmp(slash ? slash + 1 : linker, "ld-linux", 8) != 0)
        return command_error(
            EXIT_OWN_FAILURE, "run",
            "%s: the program runs on another C library than glibc (its linker is %s): the guard cannot load "
            "into it",
            path, linker);
    return 0;
}

/* Splits a "#!" line into interpreter and argument, as fs/binfmt_script.c does. False when it names none. */
static bool script_split(char line[SCRIPT_LINE + 1], char **interpreter, char **argument)
{
    line[strcspn(line, "\n")] = '\0';
    *interpreter = line + 2 + strspn(line + 2, " \t");
    char *end = *interpreter + strcspn(*interpreter, " \t");
    *argument = end + strspn(end, " \t");
    *end = '\0';
    return **interpreter != '\0';
}

/* The program that env will start for the "#!" argument `words`: the first that is no option and no assignment. */
static void env_target(char *words, char name[PATH_MAX])
{
    name[0] = '\0';
    for (char *rest, *word = strtok_r(words, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (word[0] == '-' || strchr(word, '='))
            continue;
        path_set(name, "", 0, word);
        return;
    }
}

static int check_path(const char *path, char executable[PATH_MAX], unsigned depth);

static int check_script(const char *path, char line[SCRIPT_LINE + 1], char executable[PATH_MAX], unsigned depth)
{
    char next[PATH_MAX], found[PATH_MAX], *interpreter, *argument;

    if (depth == SCRIPT_DEPTH)
        return refuse(path, "scripts that name scripts as their interpreters, too deep for the system");
    if (!script_split(line, &interpreter, &argument))
        return refuse(path, "the script names no interpreter after \"#!\"");
    const char *slash = strrchr(interpreter, '/');
    bool is_env = strcmp(slash ? slash + 1 : interpreter, "env") == 0;
    if (is_env)
        env_target(argument, next);
    int status = check_path(interpreter, executable, depth + 1);
    /* A name that env will not find is env's to complain about. */
    if (status != 0 || !is_env || search(next, found) != 0)
        return status;
    return check_path(found, executable, depth + 1);
}

static int check_path(const char *path, char executable[PATH_MAX], unsigned depth)
{
    char head[SCRIPT_LINE + 1] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, head, SCRIPT_LINE);
    int status;

    if (length < 0) {
        /* A program that may be executed but not read cannot be checked. */
        status = command_error(EXIT_OWN_FAILURE, "run", "%s: %s", path, strerror(errno));
    } else if (length >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0) {
        path_set(executable, "", 0, path);
        status = check_elf(path, fd);
    } else if (length >= 2 && head[0] == '#' && head[1] == '!') {
        status = check_script(path, head, executable, depth);
    } else {
        /* execvp hands what the kernel does not know to the shell. */
        status = depth == 0 ? check_path("/bin/sh", executable, 1) : refuse(path, "the interpreter is no program");
    }
    if (fd >= 0)
        close(fd);
    return status;
}

int program_check(struct program *program)
{
    return check_path(program->path, program->executable, 0);
}
