#define _GNU_SOURCE
#include "torchscript.h"

#include "native.h"
#include "real.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum torchscript_state torchscript_state;

/* Functions of libtorch below which operators of a program run: its interpreters, and the evaluation of what does not
 * hang on the inputs (before the first run, or by an optimisation). Their types have kept these names from torch 1.6
 * to 2.13. */
static const char *const runners[] = {
    "_ZN5torch3jit16InterpreterState3runERSt6vectorIN3c106IValueESaIS4_EE",
    "_ZN5torch3jit16InterpreterState8runAsyncERSt6vectorIN3c106IValueESaIS4_EE",
    "_ZN5torch3jit6mobile16InterpreterState3runERSt6vectorIN3c106IValueESaIS5_EE",
    "_ZN5torch3jit26runNodeIfInputsAreConstantEPKNS0_4NodeEbPNS0_7AliasDbE",
    "_ZN5torch3jit19ConstantPropagationERSt10shared_ptrINS0_5GraphEEb",
};
#define RUNNERS (sizeof runners / sizeof runners[0])

/* Of the runners and, last, of Python's own interpreter; empty where there is none. */
static struct range {
    uintptr_t start, end;
} ranges[RUNNERS + 1];

static void learn(struct range *range, void *function)
{
    if (function != NULL)
        native_function((uintptr_t)function, &range->start, &range->end);
}

void torchscript_notice(const char *path)
{
    enum torchscript_state none = TORCHSCRIPT_NONE;
    if (strstr(path, "torch") != NULL)
        __atomic_compare_exchange_n(&torchscript_state, &none, TORCHSCRIPT_COMING, false, __ATOMIC_RELEASE,
                                    __ATOMIC_RELAXED);
}

static enum { FILES_NONE, FILES_TAKING, FILES_ONE, FILES_SEVERAL } files;
static char only_file[VERDICT_PATH]; /* with FILES_ONE */

void torchscript_note_file(const char *path)
{
    __typeof__(files) none = FILES_NONE, taking = FILES_TAKING;
    torchscript_notice("torch");
    if (!__atomic_compare_exchange_n(&files, &none, FILES_TAKING, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
        if (none != FILES_ONE || strcmp(only_file, path) != 0)
            __atomic_store_n(&files, FILES_SEVERAL, __ATOMIC_RELEASE);
        return;
    }
    bool fits = strlen(path) < sizeof only_file;
    if (fits)
        strcpy(only_file, path);
    __atomic_compare_exchange_n(&files, &taking, fits ? FILES_ONE : FILES_SEVERAL, false, __ATOMIC_RELEASE,
                                __ATOMIC_RELAXED);
}

bool torchscript_file(char path[VERDICT_PATH])
{
    if (__atomic_load_n(&files, __ATOMIC_ACQUIRE) != FILES_ONE)
        return false;
    strcpy(path, only_file);
    return true;
}

/* Asks the loader, which searches the disk while libtorch is not there. */
static void look(void)
{
    static bool looking;
    if (real.dlopen == NULL || __atomic_exchange_n(&looking, true, __ATOMIC_ACQUIRE))
        return;
    void *library = real.dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
    if (library != NULL) {
        bool found = false;
        for (size_t i = 0; i < RUNNERS; i++) {
            learn(&ranges[i], dlsym(library, runners[i]));
            found = found || ranges[i].end != 0;
        }
        learn(&ranges[RUNNERS], dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault"));
        dlclose(library);
        if (found)
            __atomic_store_n(&torchscript_state, TORCHSCRIPT_FOUND, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&looking, false, __ATOMIC_RELEASE);
}

static enum native_answer find_runner(void *context, const struct native_frame *frame)
{
    for (size_t i = 0; i <= RUNNERS; i++)
        if (frame->ip > ranges[i].start && frame->ip <= ranges[i].end) {
            *(bool *)context = i < RUNNERS;
            return NATIVE_ENOUGH;
        }
    return NATIVE_GO_ON;
}

/* Operators of libtorch are called through its dispatcher: some dozens of frames above their interpreter. */
#define TORCHSCRIPT_FRAMES 512u

bool torchscript_running(void)
{
    bool running = false;
    if (__atomic_load_n(&torchscript_state, __ATOMIC_ACQUIRE) == TORCHSCRIPT_COMING)
        look();
    if (__atomic_load_n(&torchscript_state, __ATOMIC_ACQUIRE) == TORCHSCRIPT_FOUND)
        native_visit(find_runner, &running, TORCHSCRIPT_FRAMES, false);
    return running;
}
