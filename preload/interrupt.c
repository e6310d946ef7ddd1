#include "interrupt.h"

#include "marked_code.h"
#include "python.h"
#include "unpickler.h"

/* Signals asked for their handlers: 1 to 64 on Linux. */
#define SIGNALS 64

/* gc.get_stats()[0]["collections"], or -1. */
static long collections(struct py_object *gc)
{
    const struct python *python = python_api();
    struct py_object *function = python_attribute(gc, "get_stats"), *stats = python_call(function, NULL);
    struct py_object *first = NULL;
    if (python_is_kind(stats, python->PyList_Type) && python->PyList_Size(stats) > 0)
        first = python->PyList_GetItem(stats, 0);
    long count = -1;
    if (python_is_kind(first, python->PyDict_Type))
        count = python_number(python->PyDict_GetItemString(first, "collections"), -1);
    python_release(stats);
    python_release(function);
    return count;
}

bool interrupt_collecting(void)
{
    const struct python *python = python_api();
    struct python_error error;
    python_error_save(&error);
    struct py_object *gc = python->PyImport_ImportModule("gc");
    if (gc == NULL)
        python->PyErr_Clear();
    struct py_object *collect = python_attribute(gc, "collect"), *youngest = python->PyLong_FromLong(0);
    long before = collections(gc);
    python_release(youngest != NULL ? python_call(collect, youngest) : NULL);
    bool collecting = before >= 0 && collections(gc) == before;
    python_release(youngest);
    python_release(collect);
    python_release(gc);
    python_error_restore(&error);
    return collecting;
}

/* The code that runs when `handler` is called, as a new reference: of a function, or of a method's function. */
static struct py_object *code_of(struct py_object *handler)
{
    struct py_object *function = python_attribute(handler, "__func__");
    struct py_object *code = python_attribute(function != NULL ? function : handler, "__code__");
    python_release(function);
    return code;
}

bool interrupt_signal(void)
{
    const struct python *python = python_api();
    struct python_error error;
    bool found = false;
    python_error_save(&error);
    struct py_object *get = python_attribute(python_module("_signal"), "getsignal");
    for (long number = 1; get != NULL && number <= SIGNALS && !found; number++) {
        struct py_object *argument = python->PyLong_FromLong(number);
        struct py_object *handler = argument != NULL ? python_call(get, argument) : NULL;
        struct py_object *code = code_of(handler);
        found = code != NULL && marked_code_origin(code) == ORIGIN_UNKNOWN && unpickler_runs_above(code);
        python_release(code);
        python_release(handler);
        python_release(argument);
    }
    python_release(get);
    python_error_restore(&error);
    return found;
}
