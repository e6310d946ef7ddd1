/* A program that loads libpython long after its start, and starts and ends the interpreter twice. A file is opened
 * whenever no Python runs.
 *
 *   embed LIBPYTHON SCRIPT-TEXT [FILE] */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void look(const char *file)
{
    int fd = file != NULL ? open(file, O_RDONLY) : -1;
    if (fd >= 0)
        close(fd);
}

int main(int count, char **arguments)
{
    void *library = count >= 3 ? dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "%s\n", count >= 3 ? dlerror() : "usage: embed LIBPYTHON SCRIPT-TEXT [FILE]");
        return 2;
    }
    void (*initialize)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
    int (*run)(const char *) = (int (*)(const char *))dlsym(library, "PyRun_SimpleString");
    int (*finalize)(void) = (int (*)(void))dlsym(library, "Py_FinalizeEx");
    look(arguments[3]);
    for (int i = 0; i < 2; i++) {
        initialize(0);
        look(arguments[3]);
        printf("run %d: %d\n", i, run(arguments[2]));
        fflush(stdout);
        look(arguments[3]);
        finalize();
        look(arguments[3]);
    }
    return 0;
}
