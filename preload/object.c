#define _GNU_SOURCE
#include "object.h"

#include "python.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/auxv.h>

const void *object_base(const void *address, const char **symbol)
{
    Dl_info object;
    bool found = dladdr(address, &object) != 0;
    if (symbol != NULL)
        *symbol = found ? object.dli_sname : NULL;
    return found ? object.dli_fbase : NULL;
}

/* The executable's first page holds its program headers. */
bool object_is_program(const void *base)
{
    const struct python *python = python_api();
    const void *interpreter = NULL;
    if (python != NULL) {
        const void *function;
        memcpy(&function, &python->PyTuple_New, sizeof function);
        interpreter = object_base(function, NULL);
    }
    return base != NULL && (base == interpreter || (uintptr_t)base == (getauxval(AT_PHDR) & ~(uintptr_t)4095));
}
