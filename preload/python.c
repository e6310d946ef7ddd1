#define _GNU_SOURCE
#include "python.h"

#include <dlfcn.h>
#include <errno.h>

static struct python python;
static bool python_complete; /* set once, with release, after `python` was filled */

static bool look_up(void *slot, const char *name)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    __builtin_memcpy(slot, &address, sizeof(address));
    return address != NULL;
}

/* "3.11.7 (main, ...)": the digits behind "3.", from 8 on. */
static int minor_version(const char *text)
{
    if (text[0] != '3' || text[1] != '.')
        return 0;
    int minor = 0;
    for (text += 2; *text >= '0' && *text <= '9' && minor < 1000; text++)
        minor = minor * 10 + (*text - '0');
    return minor >= 8 ? minor : 0;
}

const struct python *python_find(void)
{
    if (__atomic_load_n(&python_complete, __ATOMIC_ACQUIRE))
        return &python;
    /* Most programs hold no Python: one look-up tells. */
    void *probe = NULL;
    if (!look_up(&probe, "PySys_AddAuditHook"))
        return NULL;
    bool all = true;
#define X(result, name, parameters) all = look_up(&python.name, #name) && all;
    PYTHON_FUNCTIONS(X)
#undef X
#define X(name) all = look_up(&python.name, #name) && all;
    PYTHON_TYPES(X)
    PYTHON_EXCEPTIONS(X)
#undef X
    if (!look_up(&python.is_finalizing, "Py_IsFinalizing"))
        look_up(&python.is_finalizing, "_Py_IsFinalizing");
    look_up(&python.runtime, "_PyRuntime");
    if (!all)
        return NULL;
    python.minor = minor_version(python.Py_GetVersion());
    if (python.minor == 0)
        return NULL;
    __atomic_store_n(&python_complete, true, __ATOMIC_RELEASE);
    return &python;
}

const struct python *python_api(void)
{
    return __atomic_load_n(&python_complete, __ATOMIC_ACQUIRE) ? &python : NULL;
}

bool python_present(void)
{
    return python_api() != NULL;
}

struct py_object *python_attribute(struct py_object *object, const char *name)
{
    if (object == NULL)
        return NULL;
    struct py_object *value = python.PyObject_GetAttrString(object, name);
    if (value == NULL)
        python.PyErr_Clear();
    return value;
}

void python_release(struct py_object *object)
{
    if (object != NULL)
        python.Py_DecRef(object);
}

void python_error_save(struct python_error *error)
{
    python.PyErr_Fetch(&error->type, &error->value, &error->traceback);
}

void python_error_restore(struct python_error *error)
{
    python.PyErr_Restore(error->type, error->value, error->traceback);
}

struct py_object *python_string(const char *text)
{
    return python.PyUnicode_DecodeUTF8(text, (ptrdiff_t)__builtin_strlen(text), "replace");
}

struct py_object *python_none(void)
{
    python.Py_IncRef(python._Py_NoneStruct);
    return python._Py_NoneStruct;
}

struct py_object *python_call(struct py_object *callable, struct py_object *argument)
{
    struct py_object *arguments = callable != NULL ? python.PyTuple_New(argument != NULL) : NULL, *result = NULL;
    if (arguments != NULL) {
        if (argument != NULL) {
            python.Py_IncRef(argument);
            python.PyTuple_SetItem(arguments, 0, argument);
        }
        result = python.PyObject_Call(callable, arguments, NULL);
    }
    if (callable != NULL && result == NULL)
        python.PyErr_Clear();
    python_release(arguments);
    return result;
}

long python_number(struct py_object *object, long otherwise)
{
    if (!python_is_kind(object, python.PyLong_Type))
        return otherwise;
    long value = python.PyLong_AsLong(object);
    if (value == -1 && python.PyErr_Occurred() != NULL) {
        python.PyErr_Clear();
        return otherwise;
    }
    return value;
}

int python_deny(const char *message)
{
    /* PermissionError(EACCES, text) would show as "[Errno 13] guard: ..."; users and tests look for the text itself. */
    struct py_object *text = python_string(message);
    if (text != NULL) {
        python.PyErr_SetObject(*python.PyExc_PermissionError, text);
        python.Py_DecRef(text);
    }
    return -1;
}

bool python_is(struct py_object *object, struct py_object *type)
{
    return object != NULL && python_type(object) == type;
}

struct py_object *python_type(struct py_object *object)
{
    /* PyObject_Type() would do, with a reference to give back; the type is never NULL and lives as long as the
     * object. */
    struct py_object *type = python.PyObject_Type(object);
    python.Py_DecRef(type);
    return type;
}

bool python_is_kind(struct py_object *object, struct py_object *type)
{
    return object != NULL && python.PyType_IsSubtype(python_type(object), type) != 0;
}

const char *python_text_length(struct py_object *object, size_t *length)
{
    ptrdiff_t size = 0;
    const char *text = object != NULL ? python.PyUnicode_AsUTF8AndSize(object, &size) : NULL;
    if (object != NULL && text == NULL)
        python.PyErr_Clear(); /* no str, or lone surrogates, which have no UTF-8 */
    *length = text != NULL ? (size_t)size : 0;
    return text;
}

const char *python_text(struct py_object *object)
{
    size_t length;
    return python_text_length(object, &length);
}

struct py_object *python_item(struct py_object *tuple, ptrdiff_t index)
{
    struct py_object *item = tuple != NULL ? python.PyTuple_GetItem(tuple, index) : NULL;
    if (tuple != NULL && item == NULL)
        python.PyErr_Clear();
    return item;
}

struct py_object *python_module(const char *name)
{
    struct py_object *modules = python.PySys_GetObject("modules");
    if (!python_is_kind(modules, python.PyDict_Type))
        return NULL;
    return python.PyDict_GetItemString(modules, name);
}
