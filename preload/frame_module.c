#include "frame_module.h"

#include "guard.h"

#include <string.h>

/* Names of modules and packages; longer ones are nobody's that a list names. */
#define NAME_SIZE 256u

static bool name_listed(const char *name, enum module_list list, bool package)
{
    char outermost[NAME_SIZE];
    size_t length = package ? strcspn(name, ".") : strlen(name);
    if (length >= sizeof(outermost))
        return false;
    memcpy(outermost, name, length);
    outermost[length] = '\0';
    return policy_lists_module(guard_policy(), list, outermost);
}

bool frame_listed(struct py_object *frame, enum module_list list, bool package)
{
    const struct python *python = python_api();
    struct py_object *globals = python_attribute(frame, "f_globals");
    bool found = false;
    if (guard_policy() != NULL && python_is_kind(globals, python->PyDict_Type)) {
        const char *name = python_text(python->PyDict_GetItemString(globals, "__name__"));
        struct py_object *module = name != NULL ? python_module(name) : NULL;
        struct py_object *truth = python_attribute(module, "__dict__");
        struct py_object *specification = NULL, *started = NULL;
        /* A program started by `python -m name` is __main__, and its __spec__ knows better. */
        if (truth == globals && strcmp(name, "__main__") == 0) {
            specification = python_attribute(module, "__spec__");
            started = python_attribute(specification, "name");
            name = python_text(started);
        }
        found = truth == globals && name != NULL && name_listed(name, list, package);
        python_release(started);
        python_release(specification);
        python_release(truth);
    }
    python_release(globals);
    return found;
}

/* Are the frame's globals those of one of importlib's modules? */
static bool is_importlib(struct py_object *frame)
{
    static const char *const names[] = {"importlib", "_frozen_importlib", "_frozen_importlib_external"};
    struct py_object *globals = python_attribute(frame, "f_globals");
    bool found = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found; i++) {
        struct py_object *truth = python_attribute(python_module(names[i]), "__dict__");
        found = globals != NULL && truth == globals;
        python_release(truth);
    }
    python_release(globals);
    return found;
}

struct py_object *frame_importer(void)
{
    const struct python *python = python_api();
    struct py_object *frame = python->PyEval_GetFrame();
    if (frame != NULL)
        python->Py_IncRef(frame);
    while (frame != NULL && is_importlib(frame)) {
        struct py_object *back = python_attribute(frame, "f_back");
        python_release(frame);
        frame = back;
    }
    if (frame == python->_Py_NoneStruct) {
        python_release(frame);
        return NULL;
    }
    return frame;
}

/* The frame's local variable as a new reference, or NULL. */
static struct py_object *local(struct py_object *frame, const char *name)
{
    struct py_object *locals = python_attribute(frame, "f_locals"), *get = python_attribute(locals, "get");
    struct py_object *key = python_string(name), *value = key != NULL ? python_call(get, key) : NULL;
    python_release(key);
    python_release(get);
    python_release(locals);
    return value;
}

struct py_object *frame_executed_origin(void)
{
    const struct python *python = python_api();
    struct py_object *frame = python->PyEval_GetFrame(), *origin = NULL;
    if (frame == NULL || !is_importlib(frame))
        return NULL;
    /* _call_with_frames_removed(exec, code, module.__dict__), as it is from 3.3 to 3.14 */
    struct py_object *arguments = local(frame, "args");
    struct py_object *globals = python_is(arguments, python->PyTuple_Type) ? python_item(arguments, 1) : NULL;
    if (python_is_kind(globals, python->PyDict_Type))
        origin = python_attribute(python->PyDict_GetItemString(globals, "__spec__"), "origin");
    if (python_text(origin) == NULL) {
        python_release(origin);
        origin = NULL;
    }
    python_release(arguments);
    return origin;
}
