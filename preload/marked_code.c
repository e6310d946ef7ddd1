#include "marked_code.h"

#include "record.h"

#include <string.h>

/* A slot holds a code object's address, aligned to 16, with the origin in the low bits. Pages stay the kernel's zero
 * page until the first mark. The largest model code known (transformers' remote models) has some 500 functions. */
#define SLOTS 16384u
#define MARKS_MAX (SLOTS / 4 * 3)
static uintptr_t slots[SLOTS];
static unsigned mark_count;

/* Functions within functions. */
#define NESTED_MAX 16u

_Static_assert(ORIGINS <= 16, "an origin fits into the low bits of an address");

static unsigned slot_of(uintptr_t address)
{
    return (unsigned)((address >> 4) * 0x9E3779B1u) % SLOTS;
}

/* Writers hold the GIL, or, where there is none, meet in the compare and swap. */
static void add(uintptr_t address, enum origin origin)
{
    if (__atomic_load_n(&mark_count, __ATOMIC_RELAXED) >= MARKS_MAX) {
        record_failure("marked-code", "too much code came out of files: what more comes counts as the program's own");
        return;
    }
    for (unsigned i = slot_of(address);; i = (i + 1) % SLOTS) {
        uintptr_t found = 0;
        if (__atomic_compare_exchange_n(&slots[i], &found, address | (uintptr_t)origin, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
            __atomic_fetch_add(&mark_count, 1, __ATOMIC_RELEASE);
            python_api()->Py_IncRef((struct py_object *)address);
            return;
        }
        if ((found & ~(uintptr_t)15) == address)
            return;
    }
}

static void add_nested(struct py_object *code, enum origin origin, unsigned depth)
{
    const struct python *python = python_api();
    if (!python_is(code, python->PyCode_Type) || ((uintptr_t)code & 15) != 0)
        return;
    add((uintptr_t)code, origin);
    struct py_object *constants = depth > 0 ? python_attribute(code, "co_consts") : NULL;
    ptrdiff_t count = python_is(constants, python->PyTuple_Type) ? python->PyTuple_Size(constants) : 0;
    for (ptrdiff_t i = 0; i < count; i++)
        add_nested(python->PyTuple_GetItem(constants, i), origin, depth - 1);
    python_release(constants);
}

void marked_code_add(struct py_object *code, enum origin origin)
{
    add_nested(code, origin, NESTED_MAX);
}

/* Does the function that runs name this module? */
static bool caller_names(const char *module)
{
    const struct python *python = python_api();
    struct py_object *frame = python->PyEval_GetFrame(), *code = python_attribute(frame, "f_code");
    struct py_object *names = python_attribute(code, "co_names");
    ptrdiff_t count = python_is(names, python->PyTuple_Type) ? python->PyTuple_Size(names) : 0;
    bool found = false;
    for (ptrdiff_t i = 0; i < count && !found; i++) {
        const char *name = python_text(python->PyTuple_GetItem(names, i));
        found = name != NULL && strcmp(name, module) == 0;
    }
    python_release(names);
    python_release(code);
    return found;
}

void marked_code_made(struct py_object *arguments)
{
    struct python_error error;
    python_error_save(&error);
    if (caller_names("marshal"))
        marked_code_add(python_item(arguments, 0), ORIGIN_LAMBDA);
    python_error_restore(&error);
}

enum origin marked_code_origin(const void *code)
{
    uintptr_t address = (uintptr_t)code;
    for (unsigned i = slot_of(address);; i = (i + 1) % SLOTS) {
        uintptr_t found = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
        if (found == 0)
            return ORIGIN_UNKNOWN;
        if ((found & ~(uintptr_t)15) == address)
            return (enum origin)(found & 15);
    }
}

bool marked_code_any(void)
{
    return __atomic_load_n(&mark_count, __ATOMIC_RELAXED) > 0;
}

void marked_code_forget(void)
{
    if (marked_code_any())
        memset(slots, 0, sizeof(slots));
    __atomic_store_n(&mark_count, 0, __ATOMIC_RELAXED);
}
