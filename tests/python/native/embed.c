/* A program that loads libpython long after its start, and starts and ends the interpreter twice.
 *
 *   embed LIBPYTHON SCRIPT-TEXT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments)
{
    void *library = count == 3 ? dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "%s\n", count == 3 ? dlerror() : "usage: embed LIBPYTHON SCRIPT-TEXT");
        return 2;
    }
    void (*initialize)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
    int (*run)(const char *) = (int (*)(const char *))dlsym(library, "PyRun_SimpleString");
    int (*finalize)(void) = (int (*)(void))dlsym(library, "Py_FinalizeEx");
    for (int i = 0; i < 2; i++) {
        initialize(0);
        printf("run %d: %d\n", i, run(arguments[2]));
        fflush(stdout);
        finalize();
    }
    return 0;
}
