/* The Python C API as this process has it, found by dlsym: no Python.h, no link-time dependency, any version from 3.8
 * on.
 *
 * Every function of `struct python` may be called only where the interpreter itself called the guard with the GIL
 * held, that is below an audit event. The guard never takes the GIL (taking it inside open64 deadlocks programs that
 * hold a mutex of their own, and crashes threads that outlive the interpreter). */
#ifndef GUARD_PYTHON_H
#define GUARD_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opaque, except that the offsets table says where ob_type lies. */
struct py_object;

typedef int (*python_audit_hook)(const char *event, struct py_object *arguments, void *data);

/* PyMemAllocatorEx: what the interpreter allocates by, in each of its domains. */
struct python_allocator {
    void *context;
    void *(*allocate)(void *context, size_t size);
    void *(*allocate_zeroed)(void *context, size_t count, size_t size);
    void *(*reallocate)(void *context, void *block, size_t size);
    void (*release)(void *context, void *block);
};
#define PYTHON_MEMORY_RAW 0

/* X(result, name, (parameters)): looked up by name; a missing one leaves the bridge off. All are in the stable ABI or
 * documented, and present in 3.8 to 3.14. Py_ssize_t is ptrdiff_t. */
#define PYTHON_FUNCTIONS(X) \
    X(int, PySys_AddAuditHook, (python_audit_hook hook, void *data)) \
    X(void, PyMem_GetAllocator, (int domain, struct python_allocator *allocator)) \
    X(void, PyMem_SetAllocator, (int domain, struct python_allocator *allocator)) \
    X(const char *, Py_GetVersion, (void)) \
    X(int, Py_IsInitialized, (void)) \
    X(void *, PyGILState_GetThisThreadState, (void)) \
    X(void, Py_IncRef, (struct py_object *object)) \
    X(void, Py_DecRef, (struct py_object *object)) \
    X(struct py_object *, PyObject_Type, (struct py_object *object)) \
    X(struct py_object *, PySys_GetObject, (const char *name)) \
    X(struct py_object *, PyImport_ImportModule, (const char *name)) \
    X(struct py_object *, PyObject_GetAttrString, (struct py_object *object, const char *name)) \
    X(struct py_object *, PyObject_Call, \
        (struct py_object *callable, struct py_object *arguments, struct py_object *keywords)) \
    X(int, PyType_IsSubtype, (struct py_object *derived, struct py_object *base)) \
    X(struct py_object *, PyDict_GetItemString, (struct py_object *dict, const char *key)) \
    X(struct py_object *, PyTuple_GetItem, (struct py_object *tuple, ptrdiff_t index)) \
    X(ptrdiff_t, PyTuple_Size, (struct py_object *tuple)) \
    X(struct py_object *, PyTuple_New, (ptrdiff_t size)) \
    X(int, PyTuple_SetItem, (struct py_object *tuple, ptrdiff_t index, struct py_object *item)) \
    X(struct py_object *, PyList_GetItem, (struct py_object *list, ptrdiff_t index)) \
    X(ptrdiff_t, PyList_Size, (struct py_object *list)) \
    X(struct py_object *, PyUnicode_DecodeUTF8, (const char *text, ptrdiff_t size, const char *errors)) \
    X(const char *, PyUnicode_AsUTF8AndSize, (struct py_object *unicode, ptrdiff_t *size)) \
    X(struct py_object *, PyBytes_FromStringAndSize, (const char *bytes, ptrdiff_t size)) \
    X(char *, PyBytes_AsString, (struct py_object *bytes)) \
    X(struct py_object *, PyLong_FromLong, (long value)) \
    X(long, PyLong_AsLong, (struct py_object *number)) \
    X(int, PyCallable_Check, (struct py_object *object)) \
    X(void *, PyCFunction_GetFunction, (struct py_object *function)) \
    X(struct py_object *, PyImport_ImportModuleLevelObject, (struct py_object *name, struct py_object *globals, \
        struct py_object *locals, struct py_object *from, int level)) \
    X(int, PyObject_RichCompareBool, (struct py_object *a, struct py_object *b, int operation)) \
    X(struct py_object *, PyEval_GetFrame, (void)) \
    X(int, PyFrame_GetLineNumber, (struct py_object *frame)) \
    X(struct py_object *, PyErr_Occurred, (void)) \
    X(void, PyErr_Fetch, (struct py_object **type, struct py_object **value, struct py_object **traceback)) \
    X(void, PyErr_Restore, (struct py_object *type, struct py_object *value, struct py_object *traceback)) \
    X(void, PyErr_SetObject, (struct py_object *type, struct py_object *value)) \
    X(void, PyErr_Clear, (void))

/* Data symbols: None, the types that objects are told apart by, and the exception raised for a denial. PyExc_* hold
 * pointers. */
#define PYTHON_TYPES(X) \
    X(_Py_NoneStruct) \
    X(PyUnicode_Type) X(PyBytes_Type) X(PyLong_Type) X(PyTuple_Type) X(PyList_Type) X(PyDict_Type) X(PyType_Type) \
    X(PyCode_Type) X(PyFunction_Type) X(PyCFunction_Type) X(PyModule_Type)
#define PYTHON_EXCEPTIONS(X) X(PyExc_PermissionError) X(PyExc_BaseException)

struct python {
#define X(result, name, parameters) result (*name) parameters;
    PYTHON_FUNCTIONS(X)
#undef X
#define X(name) struct py_object *name;
    PYTHON_TYPES(X)
#undef X
#define X(name) struct py_object **name;
    PYTHON_EXCEPTIONS(X)
#undef X
    int (*is_finalizing)(void); /* _Py_IsFinalizing, from 3.13 on without the underscore; NULL where neither is there */
    const void *runtime;        /* &_PyRuntime, or NULL */
    int minor;                  /* 11 for Python 3.11; 0 when it is no 3.8 or later */
};

/* Looks the API up unless it was found before. Calls dlsym: from a constructor or an ordinary call only, never from a
 * hook that may run inside the loader or the allocator. Returns what python_api() will return. */
const struct python *python_find(void);

/* The API, or NULL while this process has no (complete) Python. Async-safe. */
const struct python *python_api(void);

/* Does this process hold an interpreter? Async-safe. */
bool python_present(void);

/* The attribute as a new reference, or NULL with the error cleared. */
struct py_object *python_attribute(struct py_object *object, const char *name);

/* Gives a reference back; NULL is allowed. */
void python_release(struct py_object *object);

/* An exception under way, put aside so that the API may be used, and put back by python_error_restore(). */
struct python_error {
    struct py_object *type, *value, *traceback;
};
void python_error_save(struct python_error *error);
void python_error_restore(struct python_error *error);

/* Raises PermissionError(message). Returns -1, which is what an audit hook returns to say no. */
int python_deny(const char *message);

/* The type of `object`, borrowed. Is `object` (NULL: no) exactly of, or derived from, the type? */
struct py_object *python_type(struct py_object *object);
bool python_is(struct py_object *object, struct py_object *type);
bool python_is_kind(struct py_object *object, struct py_object *type);

/* The text of a str; NULL when it is none (error cleared). Lives as long as `object`. */
const char *python_text(struct py_object *object);

/* The same with its length in bytes, which tells of NULs inside. */
const char *python_text_length(struct py_object *object, size_t *length);

/* A tuple's item, borrowed, or NULL past its end. */
struct py_object *python_item(struct py_object *tuple, ptrdiff_t index);

/* callable(argument), or callable() with a NULL argument: a new reference, or NULL with the error cleared. NULL
 * callable: NULL. */
struct py_object *python_call(struct py_object *callable, struct py_object *argument);

/* Text as a new str; invalid UTF-8 is replaced. */
struct py_object *python_string(const char *text);

/* None, as a new reference, or NULL. */
struct py_object *python_none(void);

/* An int's value; `otherwise` for anything else. */
long python_number(struct py_object *object, long otherwise);

/* sys.modules[name], borrowed, or NULL. Never imports. */
struct py_object *python_module(const char *name);

#endif
