/* Starts `/usr/bin/env` through one member of the exec family with an empty environment:  environment SYMBOL */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const arguments[] = {"env", NULL};
static char *const nothing[] = {NULL};

static void start(const char *name)
{
    const char *path = "/usr/bin/env";
    clearenv();
    if (!strcmp(name, "execve"))
        execve(path, arguments, nothing);
    else if (!strcmp(name, "execv"))
        execv(path, arguments);
    else if (!strcmp(name, "execvp"))
        execvp(path, arguments);
    else if (!strcmp(name, "execvpe"))
        execvpe(path, arguments, nothing);
    else if (!strcmp(name, "execl"))
        execl(path, "env", (char *)NULL);
    else if (!strcmp(name, "execlp"))
        execlp(path, "env", (char *)NULL);
    else if (!strcmp(name, "execle"))
        execle(path, "env", (char *)NULL, nothing);
    else if (!strcmp(name, "fexecve"))
        fexecve(open(path, O_RDONLY), arguments, nothing);
    else if (!strcmp(name, "execveat"))
        execveat(AT_FDCWD, path, arguments, nothing, 0);
}

int main(int count, char **words)
{
    const char *name = count == 2 ? words[1] : "";
    pid_t child;
    if (!strncmp(name, "posix_spawn", 11)) {
        (name[11] ? posix_spawnp : posix_spawn)(&child, "/usr/bin/env", NULL, NULL, arguments, nothing);
        waitpid(child, NULL, 0);
    } else if (!strcmp(name, "system")) {
        clearenv();
        return system("/usr/bin/env");
    } else if (strstr(name, "popen")) {
        FILE *(*start_pipe)(const char *, const char *) = dlsym(RTLD_DEFAULT, name);
        clearenv();
        FILE *pipe = start_pipe("/usr/bin/env", "r");
        for (int c; (c = getc(pipe)) != EOF;)
            putchar(c);
        pclose(pipe);
    } else if (!strcmp(name, "vfork")) {
        child = vfork();
        if (child == 0) {
            execve("/usr/bin/env", arguments, nothing);
            _exit(1);
        }
        waitpid(child, NULL, 0);
    } else {
        start(name);
        return 1;
    }
    return 0;
}
