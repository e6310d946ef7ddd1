/* The canary: ld.so itself says whether it maps the guard, before the program runs a single instruction of its own. */
#define _GNU_SOURCE
#include "command.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Mapping a program with hundreds of libraries from a cold network file system takes seconds. */
#define CANARY_SECONDS 60
/* The list of libraries is some kilobytes. */
#define CANARY_OUTPUT (1u << 20)

static _Noreturn void canary_main(const char *executable, const char *preload, int to)
{
    char *const arguments[] = {command_copy(executable), NULL};
    int nothing = open("/dev/null", O_RDONLY);

    dup2(nothing, STDIN_FILENO);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    /* rtld.c: with this set ld.so maps what the program needs, prints it and exits. */
    setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);
    setenv("LD_PRELOAD", preload, 1);
    /* These would add to the list, or replace it. */
    unsetenv("LD_DEBUG");
    unsetenv("LD_VERBOSE");
    execv(executable, arguments);
    dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(127);
}

static int64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads until the end, at most `size` - 1 bytes. False when it takes too long. */
static bool output_read(int fd, char *output, size_t size)
{
    int64_t end = milliseconds() + CANARY_SECONDS * 1000;
    size_t length = 0;

    for (;;) {
        int64_t left = end - milliseconds();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return false;
        ssize_t got = read(fd, output + length, size - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || length == size - 1)
            break;
        length += (size_t)got;
    }
    output[length] = '\0';
    return true;
}

/* "\t/path/libguard.so (0x00007f...)" is how ld.so lists what it mapped. */
static bool lists(const char *output, const char *library)
{
    size_t length = strlen(library);

    for (const char *at = output; (at = strstr(at, library)); at += length)
        if (strncmp(at + length, " (0x", 4) == 0 && (at == output || strchr("\t\n ", at[-1])))
            return true;
    return false;
}

static int canary_verdict(const char *executable, const char *library, char *output, int status)
{
    char *lines = command_copy(output);

    /* "ERROR: ld.so: object '/path/libguard.so' from LD_PRELOAD cannot be preloaded (...): ignored." */
    for (char *rest, *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strstr(line, library) && !strstr(line, " (0x"))
            return command_error(EXIT_OWN_FAILURE, "run", "the guard does not load into %s: %s", executable, line);
    if (WIFSIGNALED(status))
        return command_error(EXIT_OWN_FAILURE, "run", "the guard does not load into %s: its linker ended in signal %d",
                             executable, WTERMSIG(status));
    if (!lists(output, library))
        return command_error(EXIT_OWN_FAILURE, "run", "the guard does not load into %s: its linker says nothing of %s",
                             executable, library);
    return 0;
}

int program_canary(const struct program *program, const char *library, const char *preload)
{
    int ends[2], status = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return command_error(EXIT_OWN_FAILURE, "run", "%s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return command_error(EXIT_OWN_FAILURE, "run", "no process can be started: %s", strerror(errno));
    if (child == 0)
        canary_main(program->executable, preload, ends[1]);
    close(ends[1]);
    char *output = command_memory(CANARY_OUTPUT);
    bool ended = output_read(ends[0], output, CANARY_OUTPUT);
    if (!ended)
        kill(child, SIGKILL);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    int verdict = ended ? canary_verdict(program->executable, library, output, status)
                        : command_error(EXIT_OWN_FAILURE, "run", "%s did not load within %d seconds",
                                        program->executable, CANARY_SECONDS);
    free(output);
    return verdict;
}
