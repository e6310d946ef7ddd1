/* A library with a dependency that only its own RUNPATH ($ORIGIN) finds, linked and looked up by name. When it is
 * loaded it touches the file that MARKER names. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int part(void);
int whole(void);
int by_name(void);
int by_origin(void);

__attribute__((constructor)) static void loaded(void)
{
    const char *marker = getenv("MARKER");
    if (marker != NULL)
        close(open(marker, O_CREAT | O_WRONLY, 0600));
}

int whole(void)
{
    return part();
}

static int found(const char *name)
{
    void *library = dlopen(name, RTLD_NOW);
    return library != NULL && dlclose(library) == 0;
}

int by_name(void)
{
    return found("libpart.so");
}

int by_origin(void)
{
    return found("$ORIGIN/libpart.so") && found("${ORIGIN}/libpart.so");
}

#ifdef EXTENSION /* the same as a Python extension module */
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "whole", .m_size = -1};
PyMODINIT_FUNC PyInit_whole(void)
{
    return PyModule_Create(&definition);
}
#endif
