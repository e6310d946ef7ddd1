#include "settle.h"

#include "frames.h"
#include "model.h"
#include "place.h"
#include "python.h"
#include "raw.h"

#include <string.h>

#define PATH_SIZE 1024u /* longer paths are of unknown home */

/* The folder of `path` into `folder`; false when there is none or it does not fit. */
static bool folder_of(const char *path, char folder[PATH_SIZE])
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    if (slash == NULL || (size_t)(slash - path) >= PATH_SIZE)
        return false;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    return true;
}

/* Is `path` in a folder for installed packages that sys.path knows? */
static bool installed(const char *path)
{
    const struct python *python = python_api();
    struct py_object *list = python->PySys_GetObject("path");
    ptrdiff_t count = python_is_kind(list, python->PyList_Type) ? python->PyList_Size(list) : 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        const char *entry = python_text(python->PyList_GetItem(list, i));
        if (entry != NULL && place_site_packages(entry) && place_within(path, entry))
            return true;
    }
    return false;
}

/* The folder of the standard library: that of os.py, or, while the interpreter starts and has not imported it, all that
 * is installed with the interpreter. */
static bool standard_folder(char folder[PATH_SIZE])
{
    struct py_object *os = python_module("os"), *file = os != NULL ? python_attribute(os, "__file__") : NULL;
    bool found = folder_of(python_text(file), folder);
    python_release(file);
    if (found || os != NULL)
        return found;
    const char *prefix = python_text(python_api()->PySys_GetObject("base_prefix"));
    if (prefix == NULL || strlen(prefix) + sizeof("/lib") > PATH_SIZE)
        return false;
    strcpy(folder, prefix);
    strcat(folder, "/lib");
    return true;
}

/* Is `path` in the standard library's folder and not in the site-packages below it? */
static bool standard(const char *path)
{
    char folder[PATH_SIZE];
    return standard_folder(folder) && place_within(path, folder) && strstr(path, "/site-packages/") == NULL &&
           strstr(path, "/dist-packages/") == NULL;
}

/* Does sys.path begin at the working directory, by "", "." or its name, so that modules there are the program's? So do
 * those of interactive programs, of `python -m` and of servers that are told "module:application". */
static bool starts_here(const char *path)
{
    char here[PATH_SIZE];
    struct py_object *list = python_api()->PySys_GetObject("path");
    ptrdiff_t count = python_is_kind(list, python_api()->PyList_Type) ? python_api()->PyList_Size(list) : 0;
    if (raw_syscall6(SYS_getcwd, (long)here, sizeof(here), 0, 0, 0, 0) <= 0 || !place_within(path, here))
        return false;
    for (ptrdiff_t i = 0; i < count; i++) {
        const char *entry = python_text(python_api()->PyList_GetItem(list, i));
        if (entry != NULL && (entry[0] == '\0' || strcmp(entry, ".") == 0 || strcmp(entry, here) == 0))
            return true;
    }
    return false;
}

/* Is `path` beside or below the main script, or where the program was started to find its modules? */
static bool application(const char *path)
{
    const struct python *python = python_api();
    struct py_object *file = python_attribute(python_module("__main__"), "__file__");
    char folder[PATH_SIZE];
    bool within = folder_of(python_text(file), folder) && place_within(path, folder);
    python_release(file);
    if (within)
        return true;
    struct py_object *list = python->PySys_GetObject("path");
    const char *first = NULL;
    if (python_is_kind(list, python->PyList_Type) && python->PyList_Size(list) > 0)
        first = python_text(python->PyList_GetItem(list, 0));
    return (first != NULL && place_within(path, first) && !place_site_packages(first)) || starts_here(path);
}

/* The home of a module's file. `loaded`: the module was there before this unpickler asked for it. */
enum home settle_file(const char *path, bool loaded)
{
    if (path[0] != '/' || strlen(path) >= PATH_SIZE || strstr(path, "/../") != NULL)
        return HOME_UNKNOWN;
    if (installed(path))
        return HOME_INSTALLED;
    if (standard(path))
        return HOME_STDLIB;
    /* What the application imported before is the application's, even beside weights; what comes in only now is not. */
    if (!loaded && model_in_root(path))
        return HOME_MODEL;
    if (application(path))
        return HOME_APP;
    if (model_in_root(path))
        return HOME_MODEL;
    if (place_temporary(path))
        return loaded ? HOME_APP : HOME_TEMPORARY;
    return HOME_APP; /* on sys.path by the user's own doing */
}

/* The home that a module spec tells: built into the interpreter, a file, or the folders of a package without
 * __init__. */
static enum home home_of_spec(struct py_object *spec, bool loaded)
{
    const struct python *python = python_api();
    struct py_object *origin = python_attribute(spec, "origin");
    struct py_object *folders = python_attribute(spec, "submodule_search_locations");
    const char *text = python_text(origin);
    enum home home = HOME_UNKNOWN;
    if (text != NULL && (strcmp(text, "built-in") == 0 || strcmp(text, "frozen") == 0))
        home = HOME_STDLIB;
    else if (text != NULL)
        home = settle_file(text, loaded);
    else if (python_is_kind(folders, python->PyList_Type) && python->PyList_Size(folders) > 0 &&
             python_text(python->PyList_GetItem(folders, 0)) != NULL)
        home = settle_file(python_text(python->PyList_GetItem(folders, 0)), loaded);
    python_release(folders);
    python_release(origin);
    return home;
}

static enum home home_of_loaded(struct py_object *module)
{
    struct py_object *spec = python_attribute(module, "__spec__"), *file = python_attribute(module, "__file__");
    enum home home = HOME_UNKNOWN;
    const char *path = python_text(file);
    if (path != NULL)
        home = settle_file(path, true);
    else if (spec != NULL)
        home = home_of_spec(spec, true);
    python_release(file);
    python_release(spec);
    return home;
}

/* What importlib's finders say of a top-level name; nothing is imported. */
static enum home home_of_new(const char *name)
{
    const struct python *python = python_api();
    struct py_object *find = python_attribute(python_module("_frozen_importlib"), "_find_spec");
    struct py_object *arguments = find != NULL ? python->PyTuple_New(2) : NULL;
    struct py_object *text = python_string(name), *none = python_none();
    enum home home = HOME_UNKNOWN;
    if (arguments != NULL && text != NULL && none != NULL) {
        python->PyTuple_SetItem(arguments, 0, text);
        python->PyTuple_SetItem(arguments, 1, none);
        text = none = NULL; /* the tuple took them */
        struct py_object *spec = python->PyObject_Call(find, arguments, NULL);
        if (spec == NULL)
            python->PyErr_Clear();
        home = home_of_spec(spec, false);
        python_release(spec);
    }
    python_release(none);
    python_release(text);
    python_release(arguments);
    python_release(find);
    return home;
}

enum home settle_home(const char *module)
{
    char name[PATH_SIZE];
    size_t length = strlen(module);
    struct python_error error;
    enum home home = HOME_UNKNOWN;
    if (length == 0 || length >= sizeof(name))
        return HOME_UNKNOWN;
    memcpy(name, module, length + 1);
    python_error_save(&error);
    /* The module itself, or the nearest package above it that is there; else what its top package would be. */
    for (;;) {
        struct py_object *loaded = python_module(name);
        if (strcmp(name, "__main__") == 0 || strcmp(name, "__mp_main__") == 0) {
            home = loaded != NULL ? HOME_APP : HOME_UNKNOWN;
            break;
        }
        if (loaded != NULL && (home = home_of_loaded(loaded)) != HOME_UNKNOWN)
            break;
        char *dot = strrchr(name, '.');
        if (dot == NULL) {
            home = loaded != NULL ? HOME_UNKNOWN : home_of_new(name);
            break;
        }
        *dot = '\0';
    }
    python_error_restore(&error);
    return home;
}

static bool has(struct py_object *object, const char *name)
{
    struct py_object *value = python_attribute(object, name);
    python_release(value);
    return value != NULL;
}

/* Classes whose instances are values: Enum, exceptions, dataclasses, named tuples and their C kin, attrs, pydantic. */
static bool value_class(struct py_object *class)
{
    const struct python *python = python_api();
    struct py_object *enumeration = python_attribute(python_module("enum"), "Enum");
    bool value = python->PyType_IsSubtype(class, *python->PyExc_BaseException) != 0 ||
                 (python_is_kind(enumeration, python->PyType_Type) &&
                  python->PyType_IsSubtype(class, enumeration) != 0) ||
                 (python->PyType_IsSubtype(class, python->PyTuple_Type) != 0 &&
                  (has(class, "_fields") || has(class, "n_sequence_fields"))) ||
                 has(class, "__dataclass_fields__") || has(class, "__attrs_attrs__") ||
                 has(class, "__pydantic_fields__");
    python_release(enumeration);
    return value;
}

/* Types in C whose making does nothing but make a value, so that a class in Python may stand on them. */
static bool plain_base(struct py_object *type)
{
    static const struct {
        const char *module, *name; /* name NULL: all of the module's */
    } plain[] = {
        {"builtins", NULL}, {"datetime", NULL}, {"collections", NULL}, {"decimal", NULL}, {"array", NULL},
        {"_random", NULL},  {"numpy", "ndarray"}, {"torch._C", "TensorBase"}, {"torch", "TensorBase"},
    };
    struct py_object *module = python_attribute(type, "__module__"), *name = python_attribute(type, "__name__");
    const char *module_text = python_text(module), *name_text = python_text(name);
    bool known = false;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]) && module_text != NULL && name_text != NULL; i++)
        known |= strcmp(plain[i].module, module_text) == 0 &&
                 (plain[i].name == NULL || strcmp(plain[i].name, name_text) == 0);
    python_release(name);
    python_release(module);
    return known;
}

/* Is what `class` does in `method` written in Python, or inherited from a plain type? `owner`: the attribute of a
 * method in C that says whose it is. */
static bool method_in_python(struct py_object *class, const char *method, const char *owner)
{
    struct py_object *function = python_attribute(class, method);
    bool in_python = python_is(function, python_api()->PyFunction_Type);
    struct py_object *type = in_python ? NULL : python_attribute(function, owner);
    bool plain = type != NULL && plain_base(type);
    python_release(type);
    python_release(function);
    return in_python || plain;
}

/* A class of an extension module does its work in C++ or Rust, out of sight of audit events: to be settled like a
 * function. What a class in Python does, the interpreter reports. */
static bool class_in_python(struct py_object *class)
{
    return method_in_python(class, "__init__", "__objclass__") && method_in_python(class, "__new__", "__self__");
}

/* A member of an enumeration, which is a value as its class is. */
static bool member(struct py_object *object)
{
    struct py_object *enumeration = python_attribute(python_module("enum"), "Enum");
    bool found = python_is_kind(enumeration, python_api()->PyType_Type) && python_is_kind(object, enumeration);
    python_release(enumeration);
    return found;
}

static enum object object_of(struct py_object *object)
{
    const struct python *python = python_api();
    if (member(object))
        return OBJECT_VALUE_CLASS;
    if (python_is_kind(object, python->PyType_Type))
        return has(object, "__del__")    ? OBJECT_FINALIZER
               : value_class(object)     ? OBJECT_VALUE_CLASS
               : class_in_python(object) ? OBJECT_CLASS
                                         : OBJECT_OTHER;
    if (python_is_kind(object, python->PyModule_Type))
        return OBJECT_MODULE;
    return python->PyCallable_Check(object) != 0 ? OBJECT_FUNCTION : OBJECT_OTHER;
}

/* What a class or function calls itself, when that is another name than the one it was reached by. */
static void own_name(struct py_object *object, const char *module, const char *name, struct settled_name *own)
{
    struct py_object *its_module = python_attribute(object, "__module__"),
                     *its_name = python_attribute(object, "__qualname__");
    const char *module_text = python_text(its_module), *name_text = python_text(its_name);
    if (module_text != NULL && name_text != NULL && strlen(module_text) < sizeof(own->module) &&
        strlen(name_text) < sizeof(own->name) && (strcmp(module_text, module) != 0 || strcmp(name_text, name) != 0)) {
        strcpy(own->module, module_text);
        strcpy(own->name, name_text);
    }
    python_release(its_name);
    python_release(its_module);
}

/* Walks the dotted `name` from `object`, whose reference it takes: a new reference, or NULL. */
static struct py_object *walk(struct py_object *object, const char *name)
{
    char part[PATH_SIZE];
    while (object != NULL && *name != '\0') {
        size_t length = strcspn(name, ".");
        struct py_object *next = NULL;
        if (length < sizeof(part)) {
            memcpy(part, name, length);
            part[length] = '\0';
            next = python_attribute(object, part);
        }
        python_release(object);
        object = next;
        name += length;
        name += *name == '.';
    }
    return object;
}

enum object settle_object(const char *module, const char *name, struct settled_name *own)
{
    struct python_error error;
    enum object kind = OBJECT_UNKNOWN;
    python_error_save(&error);
    struct py_object *object = python_api()->PyImport_ImportModule(module);
    if (object == NULL)
        python_api()->PyErr_Clear();
    object = walk(object, name);
    *own = (struct settled_name){0};
    if (object != NULL) {
        kind = object_of(object);
        own_name(object, module, name, own);
    }
    python_release(object);
    python_error_restore(&error);
    return kind;
}

bool settle_base(const struct settled_name *class, unsigned at, struct settled_name *base)
{
    const struct python *python = python_api();
    struct python_error error;
    python_error_save(&error);
    struct py_object *module = python_module(class->module);
    if (module != NULL)
        python->Py_IncRef(module);
    struct py_object *object = walk(module, class->name), *bases = NULL;
    if (python_is_kind(object, python->PyType_Type))
        bases = python_attribute(object, "__mro__");
    bool found = python_is(bases, python->PyTuple_Type) && (ptrdiff_t)at + 1 < python->PyTuple_Size(bases);
    *base = (struct settled_name){0};
    if (found) /* the first is the class itself */
        own_name(python->PyTuple_GetItem(bases, (ptrdiff_t)at + 1), "", "", base);
    python_release(bases);
    python_release(object);
    python_error_restore(&error);
    return found;
}

/* What was found out about names that come again and again, as an application's own classes do. An entry holds while
 * the module is the same object and the name still stands for the same object in it. */
#define SETTLED 64u
#define SETTLED_NAME 64u
static struct settled {
    const struct py_object *module, *object;
    char name[SETTLED_NAME];
    enum home home;
    enum object kind;
} settled[SETTLED];
static bool settled_busy; /* interpreters without a GIL; whoever finds it set does without */

static struct settled *settled_slot(const struct py_object *module, const struct py_object *object)
{
    return &settled[((uintptr_t)module / 16 * 31 + (uintptr_t)object / 16) % SETTLED];
}

void settle(const char *module_name, const char *name, enum home *home, enum object *kind, struct settled_name *own)
{
    struct python_error error;
    python_error_save(&error);
    struct py_object *module = strlen(name) < SETTLED_NAME ? python_module(module_name) : NULL;
    struct py_object *object = python_attribute(module, name);
    bool mine = object != NULL && !__atomic_exchange_n(&settled_busy, true, __ATOMIC_ACQUIRE), found = false;
    struct settled *slot = settled_slot(module, object);
    if (mine) {
        found = slot->module == module && slot->object == object && strcmp(slot->name, name) == 0;
        *home = slot->home;
        *kind = slot->kind;
        __atomic_store_n(&settled_busy, false, __ATOMIC_RELEASE);
    }
    python_release(object);
    python_error_restore(&error);
    *own = (struct settled_name){0};
    if (found)
        return;
    *home = settle_home(module_name);
    *kind = OBJECT_UNKNOWN;
    if (*home == HOME_UNKNOWN || *home == HOME_MODEL || *home == HOME_TEMPORARY)
        return;
    *kind = settle_object(module_name, name, own);
    if (mine && own->module[0] == '\0' && !__atomic_exchange_n(&settled_busy, true, __ATOMIC_ACQUIRE)) {
        *slot = (struct settled){.module = module, .object = object, .home = *home, .kind = *kind};
        memcpy(slot->name, name, strlen(name) + 1);
        __atomic_store_n(&settled_busy, false, __ATOMIC_RELEASE);
    }
}
