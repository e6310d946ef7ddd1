#include "audit.h"

#include "deeds.h"
#include "frames.h"
#include "guard.h"
#include "library.h"
#include "marked_code.h"
#include "model_code.h"
#include "native.h"
#include "record.h"
#include "resolve.h"
#include "switches.h"
#include "unpickler.h"
#include "unpickler_learn.h"
#include "who.h"

#include <string.h>

/* The interpreter has our hook. It forgets it when it ends. */
static bool installed;

/* The interpreter's note of our hook. It is made before the interpreter chooses its allocator, and given back to the
 * one that was chosen: that of `-X dev` ends the process over memory that is not its own. So the first one gets it. */
static struct {
    void *block;
    struct python_allocator first, chosen;
} note;

static void *note_allocate(void *context, size_t size)
{
    return note.block = note.first.allocate(context, size);
}

static void note_release(void *context, void *block)
{
    if (block != note.block) {
        note.chosen.release(context, block);
        return;
    }
    python_api()->PyMem_SetAllocator(PYTHON_MEMORY_RAW, &note.chosen);
    note.first.release(note.first.context, block);
}

static void note_make(const struct python *python, python_audit_hook hook)
{
    python->PyMem_GetAllocator(PYTHON_MEMORY_RAW, &note.first);
    struct python_allocator noting = note.first;
    noting.allocate = note_allocate;
    python->PyMem_SetAllocator(PYTHON_MEMORY_RAW, &noting);
    python->PySys_AddAuditHook(hook, NULL);
    python->PyMem_SetAllocator(PYTHON_MEMORY_RAW, &note.first);
}

/* The interpreter is about to give it back, once it has told all hooks. */
static void note_ends(const struct python *python)
{
    python->PyMem_GetAllocator(PYTHON_MEMORY_RAW, &note.chosen);
    struct python_allocator once = note.chosen;
    if (note.block == NULL || note.chosen.release == note.first.release)
        return;
    once.release = note_release;
    python->PyMem_SetAllocator(PYTHON_MEMORY_RAW, &once);
}

/* Set once the layout of frames was compared, so that other events pay one load. */
static bool frames_checked;

static void check_frames(void)
{
    struct guard_section section = guard_enter();
    struct python_error error;
    python_error_save(&error);
    frames_check();
    python_error_restore(&error);
    if (frames_known() || frames_unknown())
        __atomic_store_n(&frames_checked, true, __ATOMIC_RELAXED);
    if (frames_unknown())
        record_failure("python-frames", "this interpreter's frames cannot be read: records name no Python lines");
    guard_leave(section);
}

/* ("import", module, file, ...) names a file when it is an extension module's. */
static bool loads_library(const char *event, struct py_object *arguments)
{
    return (event[0] == 'c' && strcmp(event, "ctypes.dlopen") == 0) ||
           (event[0] == 'i' && strcmp(event, "import") == 0 && python_text(python_item(arguments, 1)) != NULL);
}

static bool starts_program(const char *event)
{
    return (event[0] == 's' && strcmp(event, "subprocess.Popen") == 0) ||
           (event[0] == 'o' && (strcmp(event, "os.exec") == 0 || strcmp(event, "os.posix_spawn") == 0 ||
                                strcmp(event, "os.system") == 0));
}

/* Thousands of events pass while a large library is imported: those of no concern must not cost more than this. */
static int on_event(const char *event, struct py_object *arguments, void *data)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    (void)data;
    if (unpickler_learning()) {
        unpickler_learn_event();
        return 0;
    }
    if (event[0] == 'c' && strcmp(event, "cpython._PySys_ClearAuditHooks") == 0) { /* it is at its end */
        frames_forget();
        unpickler_forget();
        marked_code_forget();
        note_ends(python_api());
        __atomic_store_n(&frames_checked, false, __ATOMIC_RELAXED);
        __atomic_store_n(&installed, false, __ATOMIC_RELEASE);
        return 0;
    }
    if (!guard_ready() || arguments == NULL)
        return 0;
    /* Within guard's own work only a finalizer can raise what is judged below: it is judged like anybody's. */
    if (__builtin_expect(!__atomic_load_n(&frames_checked, __ATOMIC_RELAXED), 0) && guard_thread.depth == 0)
        check_frames();
    if (event[0] == 'p' && strcmp(event, "pickle.find_class") == 0)
        return resolve_judge(arguments, here);
    if (event[0] == 'e' && strcmp(event, "exec") == 0 && model_code_judge(arguments) < 0)
        return -1;
    if (event[0] == 'f' && strcmp(event, "function.__new__") == 0)
        marked_code_made(arguments);
    if (loads_library(event, arguments) || starts_program(event))
        library_note_places();
    if (event[0] == 's' && strcmp(event, "subprocess.Popen") == 0 && deeds_judge_start(arguments) < 0)
        return -1;
    if (!who_suspected_in_python())
        return 0;
    unpickler_learn_importer();
    return deeds_judge(event, arguments);
}

void audit_install(void)
{
    const struct python *python = python_find();
    if (python == NULL || __atomic_exchange_n(&installed, true, __ATOMIC_ACQ_REL))
        return;
    native_prepare();
    note_make(python, on_event);
    struct guard_section section = guard_enter();
    switches_apply();
    guard_leave(section);
}

void audit_notice(const char *path)
{
    if (!__atomic_load_n(&installed, __ATOMIC_ACQUIRE) && path != NULL && strstr(path, "/encodings/") != NULL)
        audit_install();
}
