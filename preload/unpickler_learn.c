#include "unpickler_learn.h"

#include "guard.h"
#include "native.h"
#include "python.h"
#include "record.h"
#include "unpickler.h"

#include <string.h>

struct range {
    uintptr_t start, end;
};

/* load(), what the compiler put apart from it, and the functions called from Python. */
#define RANGES_MAX 16u
static struct range ranges[RANGES_MAX];
static unsigned range_count; /* published with release after the range is filled */

enum { LEARN_NOT_YET, LEARN_BUSY, LEARN_DONE, LEARN_FAILED };
static int learn_state;

/* Where import statements and the unpicklers' own imports pass, and importlib's function that all imports pass. */
static struct range importer;
static const void *importlib_code; /* written below audit events only */

/* More than one where a program reloads pickle.py. */
#define PURE_MAX 4u
static const void *pure_codes[PURE_MAX];
static unsigned pure_count;

/* The stack of the last event of a lesson. Only the learning thread writes, holding the GIL. */
#define LESSON_FRAMES 48u
static struct native_frame lesson[LESSON_FRAMES];
static unsigned lesson_count;
static uintptr_t lesson_base; /* the teacher's own frame: what stands above it on the stack is another unpickler's */

/* Who else stands there when Python calls something: never an unpickler. */
static uintptr_t bystanders[LESSON_FRAMES];
static unsigned bystander_count;

bool unpickler_learning(void)
{
    return guard_thread.learning;
}

void unpickler_forget(void)
{
    __atomic_store_n(&learn_state, LEARN_NOT_YET, __ATOMIC_RELEASE);
    __atomic_store_n(&pure_count, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&range_count, 0, __ATOMIC_RELEASE);
    importlib_code = NULL;
}

bool unpickler_known(void)
{
    return __atomic_load_n(&learn_state, __ATOMIC_ACQUIRE) == LEARN_DONE;
}

bool unpickler_is(uintptr_t ip)
{
    unsigned count = __atomic_load_n(&range_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < count; i++)
        if (ip - 1 >= ranges[i].start && ip - 1 < ranges[i].end) /* a call at a function's end returns behind it */
            return true;
    return false;
}

unsigned unpickler_pure_codes(const void *const **codes)
{
    *codes = pure_codes;
    return __atomic_load_n(&pure_count, __ATOMIC_ACQUIRE);
}

bool importer_is(uintptr_t ip)
{
    return ip - 1 >= importer.start && ip - 1 < importer.end;
}

const void *importer_code(void)
{
    return importlib_code;
}

void unpickler_learn_importer(void)
{
    const struct python *python = python_api();
    uintptr_t address;
    struct python_error error;
    static bool asking; /* for __code__, which raises an event */
    if (importlib_code != NULL || __atomic_exchange_n(&asking, true, __ATOMIC_ACQUIRE))
        return;
    python_error_save(&error);
    memcpy(&address, &python->PyImport_ImportModuleLevelObject, sizeof(address));
    native_function(address, &importer.start, &importer.end);
    struct py_object *function = python_attribute(python_module("_frozen_importlib"), "_find_and_load");
    struct py_object *code = python_attribute(function, "__code__");
    if (python_is(code, python->PyCode_Type)) {
        importlib_code = code; /* the reference is kept */
        code = NULL;
    }
    python_release(code);
    python_release(function);
    python_error_restore(&error);
    __atomic_store_n(&asking, false, __ATOMIC_RELEASE);
}

static void range_add(const struct native_frame *frame)
{
    unsigned count = range_count;
    if (frame->start == 0 || frame->end <= frame->start || count == RANGES_MAX || unpickler_is(frame->start + 1))
        return;
    ranges[count] = (struct range){frame->start, frame->end};
    __atomic_store_n(&range_count, count + 1, __ATOMIC_RELEASE);
}

void unpickler_learn_event(void)
{
    unsigned count = native_walk(lesson, LESSON_FRAMES, true);
    lesson_count = 0;
    while (lesson_count < count && lesson[lesson_count].cfa < lesson_base)
        lesson_count++;
}

/* The frame of the function at `address` in the last lesson; lesson_count when it is not there. */
static unsigned lesson_find(uintptr_t address)
{
    unsigned i = 0;
    while (i < lesson_count && !(address >= lesson[i].start && address < lesson[i].end))
        i++;
    return i;
}

/* What stands on the stack when sys.audit is called without any unpickler. */
static void lesson_bystanders(void)
{
    struct py_object *audit = python_api()->PySys_GetObject("audit");
    struct py_object *event = python_string("guard.learn");
    lesson_count = bystander_count = 0;
    python_release(python_call(audit, event));
    python_release(event);
    while (bystander_count < lesson_count) {
        bystanders[bystander_count] = lesson[bystander_count].start;
        bystander_count++;
    }
}

static bool bystander(const struct native_frame *frame)
{
    for (unsigned i = 0; i < bystander_count; i++)
        if (bystanders[i] == frame->start)
            return true;
    return false;
}

/* Loads a harmless pickle and looks who stands between `entry` and the event it raises. */
static bool lesson_loads(struct py_object *loads, uintptr_t entry, const char *pickle, size_t length)
{
    struct py_object *bytes = python_api()->PyBytes_FromStringAndSize(pickle, (ptrdiff_t)length);
    lesson_count = 0;
    python_release(python_call(loads, bytes));
    python_release(bytes);
    unsigned at = lesson_find(entry);
    if (at == 0 || at == lesson_count || bystander(&lesson[at - 1]))
        return false; /* load() was compiled into its callers */
    range_add(&lesson[at]);
    range_add(&lesson[at - 1]);
    return true;
}

/* Unpickler(BytesIO(pickle)).load() jumps into load() from a function that leaves no frame: what was learnt has to be
 * found in this stack too, or it was something else. */
static bool lesson_confirms(struct py_object *module, const char *pickle, size_t length)
{
    struct py_object *bytes = python_api()->PyBytes_FromStringAndSize(pickle, (ptrdiff_t)length);
    struct py_object *reader = python_attribute(python_module("_io"), "BytesIO");
    struct py_object *file = python_call(reader, bytes);
    struct py_object *class = python_attribute(module, "Unpickler");
    struct py_object *unpickler = file != NULL ? python_call(class, file) : NULL;
    struct py_object *load = python_attribute(unpickler, "load");
    lesson_count = 0;
    python_release(python_call(load, NULL));
    bool found = false;
    for (unsigned i = 0; i < lesson_count && !found; i++)
        found = unpickler_is(lesson[i].ip);
    python_release(load);
    python_release(unpickler);
    python_release(class);
    python_release(file);
    python_release(reader);
    python_release(bytes);
    return found;
}

/* One lesson an opcode that leads to an event, because compilers put what their training seldom met apart from load().
 * sys.audit raises an event from within a call; it is allowed to any code and does nothing else. */
static const struct lesson {
    const char *pickle;
    size_t length;
} lessons[] = {
#define LESSON(text) {text, sizeof(text) - 1}
    LESSON("cbuiltins\nint\n."),                                   /* GLOBAL */
    LESSON("\x80\x04\x8c\x08" "builtins\x8c\x03" "int\x93."),      /* STACK_GLOBAL */
    LESSON("csys\naudit\n(S'guard.learn'\ntR."),                   /* REDUCE */
    LESSON("(csys\naudit\nS'guard.learn'\no."),                    /* OBJ */
    LESSON("(S'guard.learn'\nisys\naudit\n."),                     /* INST */
#undef LESSON
};
#define LESSON_CALL 2u /* REDUCE */

static const char *learn(struct py_object *module)
{
    const struct python *python = python_api();
    struct py_object *loads = python_attribute(module, "loads");
    uintptr_t entry = 0;
    if (python_is(loads, python->PyCFunction_Type))
        entry = (uintptr_t)python->PyCFunction_GetFunction(loads);
    bool learnt = entry != 0;
    if (learnt)
        lesson_bystanders();
    for (size_t i = 0; learnt && i < sizeof(lessons) / sizeof(lessons[0]); i++)
        learnt = lesson_loads(loads, entry, lessons[i].pickle, lessons[i].length);
    python_release(loads);
    if (entry == 0)
        return "_pickle.loads is no C function";
    if (!learnt)
        return "the native stack does not show _pickle.loads and what it calls";
    if (!lesson_confirms(module, lessons[LESSON_CALL].pickle, lessons[LESSON_CALL].length))
        return "_pickle.Unpickler.load shows nothing that _pickle.loads did";
    return NULL;
}

void unpickler_learn(void)
{
    int expected = LEARN_NOT_YET;
    if (__atomic_load_n(&learn_state, __ATOMIC_ACQUIRE) != LEARN_NOT_YET)
        return;
    struct py_object *module = python_module("_pickle");
    if (module == NULL ||
        !__atomic_compare_exchange_n(&learn_state, &expected, LEARN_BUSY, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return;
    struct python_error error;
    python_error_save(&error);
    guard_thread.learning = true;
    lesson_base = (uintptr_t)__builtin_frame_address(0);
    unpickler_learn_importer();
    const char *failure = learn(module);
    guard_thread.learning = false;
    python_error_restore(&error);
    if (failure != NULL)
        record_failure("c-unpickler", failure);
    __atomic_store_n(&learn_state, failure == NULL ? LEARN_DONE : LEARN_FAILED, __ATOMIC_RELEASE);
}

void unpickler_learn_pure(void)
{
    struct python_error error;
    python_error_save(&error);
    struct py_object *class = python_attribute(python_module("pickle"), "_Unpickler");
    struct py_object *load = python_attribute(class, "load");
    struct py_object *code = python_attribute(load, "__code__");
    unsigned count = pure_count;
    bool known = !python_is(code, python_api()->PyCode_Type) || count == PURE_MAX;
    for (unsigned i = 0; i < count; i++)
        known = known || pure_codes[i] == code;
    if (!known) {
        pure_codes[count] = code; /* the reference is kept, so that no other code ever has this address */
        code = NULL;
        __atomic_store_n(&pure_count, count + 1, __ATOMIC_RELEASE);
    }
    python_release(code);
    python_release(load);
    python_release(class);
    python_error_restore(&error);
}
