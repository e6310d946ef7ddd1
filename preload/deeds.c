#define _GNU_SOURCE
#include "deeds.h"

#include "deed.h"
#include "frame_module.h"
#include "frames.h"
#include "guard.h"
#include "interrupt.h"
#include "marked_code.h"
#include "program.h"
#include "raw.h"
#include "restoring.h"

#include <fcntl.h>
#include <string.h>

#define MESSAGE_SIZE 2048u

struct event_deed {
    const char *event;
    enum effect_kind kind;
    int argument;
    const char *token;
};

static const struct event_deed deeds[] = {
#define DEED(event, kind, argument, token) {event, kind, argument, token},
#include "deeds.def"
#undef DEED
};

static const struct event_deed *deed_find(const char *event)
{
    size_t low = 0, high = sizeof(deeds) / sizeof(deeds[0]);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(event, deeds[middle].event);
        if (order == 0)
            return &deeds[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* from_buffer() and from_buffer_copy() of ctypes raise ("ctypes.cdata/buffer", address, size, offset), and the first
 * then
 * ("ctypes.cdata", address + offset), as from_address() does (Modules/_ctypes/_ctypes.c). What views a buffer of
 * Python's own, within its bounds, reaches nothing new: xgboost's __setstate__ does it. */
static bool views_buffer(const char *event, struct py_object *arguments)
{
    uint32_t expected = guard_thread.ctypes_view;
    long address = python_number(python_item(arguments, 0), 0);
    if (strcmp(event, "ctypes.cdata/buffer") == 0) {
        guard_thread.ctypes_view = (uint32_t)(address + python_number(python_item(arguments, 2), 0));
        return true;
    }
    if (strcmp(event, "ctypes.cdata") != 0)
        return false;
    guard_thread.ctypes_view = 0;
    return expected != 0 && expected == (uint32_t)address;
}

/* What is touched, as text that lives as long as `arguments`: a str, bytes, the first of a tuple or list (an address,
 * an argument vector); NULL when it is something else. */
static const char *target(struct py_object *object, unsigned depth)
{
    const struct python *python = python_api();
    const char *text = python_text(object);
    if (text != NULL)
        return text;
    if (python_is_kind(object, python->PyBytes_Type))
        return python->PyBytes_AsString(object);
    if (depth > 0 && python_is_kind(object, python->PyTuple_Type) && python->PyTuple_Size(object) > 0)
        return target(python->PyTuple_GetItem(object, 0), depth - 1);
    if (depth > 0 && python_is_kind(object, python->PyList_Type) && python->PyList_Size(object) > 0)
        return target(python->PyList_GetItem(object, 0), depth - 1);
    return NULL;
}

/* Is it the doing of something that interrupts whoever asks, or how an object restores itself? Cheapest first; the last
 * may run a collection. */
static bool excused(const struct deed *deed)
{
    struct guard_section section = guard_enter();
    bool done = (deed->kind == EFFECT_WRITE && restoring_through(deed->what, deed->folder)) || interrupt_signal();
    bool collects = !done && !who_made_of_file();
    guard_leave(section);
    return done || (collects && interrupt_collecting());
}

/* Does a library compile a wrapper of one of its own functions, which is called for the first time? The names of what
 * wraps are denied by rules, so that no file brings its own text here. */
static bool compiles_wrapper(void)
{
    struct guard_section section = guard_enter();
    struct python_error error;
    python_error_save(&error);
    bool found = frame_listed(python_api()->PyEval_GetFrame(), MODULES_COMPILERS, false) &&
                 marked_code_origin(frames_innermost()) == ORIGIN_UNKNOWN;
    python_error_restore(&error);
    guard_leave(section);
    return found;
}

/* Events of calls that take a folder's descriptor: (path, dir_fd) and os.mkdir's (path, mode, dir_fd). */
static long folder_of(const char *event, struct py_object *arguments)
{
    if (strcmp(event, "os.remove") == 0 || strcmp(event, "os.rmdir") == 0)
        return python_number(python_item(arguments, 1), -1);
    return strcmp(event, "os.mkdir") == 0 ? python_number(python_item(arguments, 2), -1) : -1;
}

/* The code that is about to run or to become a function. */
static void mark_code(const char *event, struct py_object *arguments)
{
    struct guard_section section = guard_enter();
    struct python_error error;
    enum origin origin = who_passes_on();
    python_error_save(&error);
    if (origin != ORIGIN_UNKNOWN && (strcmp(event, "function.__new__") == 0 || strcmp(event, "exec") == 0))
        marked_code_add(python_item(arguments, 0), origin);
    python_error_restore(&error);
    guard_leave(section);
}

/* A path as a new reference to text or bytes; NULL: it is none. */
static struct py_object *path_of(struct py_object *object)
{
    struct guard_section section = guard_enter();
    struct python_error error;
    python_error_save(&error);
    struct py_object *method = object != NULL ? python_attribute(object, "__fspath__") : NULL;
    struct py_object *path = method != NULL ? python_call(method, NULL) : object;
    python_release(method);
    if (path == object && path != NULL)
        python_api()->Py_IncRef(path);
    python_error_restore(&error);
    guard_leave(section);
    return path;
}

/* The first words of a command line, as text that lives as long as `kept`. */
struct words {
    struct py_object *kept[PROGRAM_WORDS];
    char *texts[PROGRAM_WORDS + 1];
};

static void words_take(struct words *words, struct py_object *list)
{
    const struct python *python = python_api();
    bool is_list = python_is_kind(list, python->PyList_Type);
    for (unsigned i = 0; i < PROGRAM_WORDS; i++) {
        bool there = is_list && (ptrdiff_t)i < python->PyList_Size(list);
        struct py_object *word = there ? python->PyList_GetItem(list, i) : python_item(list, i);
        if (word == NULL)
            return;
        words->kept[i] = path_of(word);
        const char *text = target(words->kept[i], 0);
        words->texts[i] = (char *)(uintptr_t)(text != NULL ? text : "");
    }
}

static void words_release(struct words *words)
{
    for (unsigned i = 0; i < PROGRAM_WORDS; i++)
        python_release(words->kept[i]);
}

static bool may_start(const char *program, char *const words[], const char *folder, char message[MESSAGE_SIZE])
{
    static const char call[] = "subprocess.Popen";
    long start = folder != NULL ? raw_openat(AT_FDCWD, folder, O_PATH | O_DIRECTORY | O_CLOEXEC, 0) : AT_FDCWD;
    if (program == NULL || (folder != NULL && start < 0))
        return true; /* nor will the child get there */
    bool searched = strchr(program, '/') == NULL; /* where the environment says */
    bool may = (searched || program_may_start((int)start, program, call, message, MESSAGE_SIZE)) &&
               program_may_hand_on((int)start, program, words, call, message, MESSAGE_SIZE);
    if (folder != NULL)
        raw_close((int)start);
    return may;
}

int deeds_judge_start(struct py_object *arguments)
{
    char message[MESSAGE_SIZE];
    struct py_object *program = path_of(python_item(arguments, 0)), *folder = path_of(python_item(arguments, 2));
    struct words words = {0};
    words_take(&words, python_item(arguments, 1));
    bool may = may_start(target(program, 0), words.texts, target(folder, 0), message);
    words_release(&words);
    python_release(folder);
    python_release(program);
    return may ? 0 : python_deny(message);
}

int deeds_judge(const char *event, struct py_object *arguments)
{
    const struct event_deed *found = deed_find(event);
    if (found == NULL)
        return 0;
    bool opens = found->kind == EFFECT_WRITE && strcmp(event, "open") == 0;
    long flags = opens ? python_number(python_item(arguments, 2), 0) : 0;
    if (opens && !deed_opens(flags)) /* the flags say it for os.open() and open() alike */
        return 0;
    if (found->kind == EFFECT_NATIVE && views_buffer(event, arguments))
        return 0;
    if (found->kind == EFFECT_CODE && compiles_wrapper())
        return 0;

    char message[MESSAGE_SIZE];
    const char *what = found->argument >= 0 ? target(python_item(arguments, found->argument), 1) : NULL;
    struct deed deed = {
        .kind = found->kind,
        .what = what != NULL && found->kind != EFFECT_CODE ? what : found->token,
        .detail = event,
        .folder = folder_of(event, arguments),
        .update = opens && deed_updates(flags),
    };
    if (!deed_judge(&deed, excused, message, sizeof(message)))
        return python_deny(message);
    if (deed.kind == EFFECT_CODE)
        mark_code(event, arguments);
    else
        deed_judged(&deed);
    return 0;
}
