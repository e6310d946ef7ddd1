#include "unpickler.h"

#include "frame_module.h"
#include "frames.h"
#include "guard.h"
#include "ipc.h"
#include "native.h"
#include "python.h"
#include "raw.h"
#include "unpickler_learn.h"

#include <string.h>

/* Deep enough for any recursion that Python allows (some 8 frames of C a level); a deeper stack counts as not walked
 * to its end. */
#define WALK_MAX 16384u
/* How far above the unpickler a cache's own code may stand: inductor's and joblib's are 2 to 5 frames up. */
#define CACHE_FRAMES 6u
/* How many frames may be those of a wrapper: dill's are 3. */
#define WRAPPER_FRAMES 4u

/* unpickler_origin: the C unpickler's origin, that of the one in Python, how many Python frames stood below it (cut at
 * 16 bits), and the descriptor (+1) that made it ipc. */
static enum origin word_origin(uintptr_t word)
{
    return (enum origin)(word & 0xFF);
}
static enum origin word_pure(uintptr_t word)
{
    return (enum origin)(word >> 8 & 0xFF);
}
static int word_descriptor(uintptr_t word)
{
    return (int)(word >> 32) - 1;
}
static unsigned word_depth(uintptr_t word)
{
    return (unsigned)(word >> 16 & 0xFFFF);
}
static uintptr_t word_make(enum origin origin, enum origin pure, unsigned depth, int descriptor)
{
    return (uintptr_t)origin | (uintptr_t)pure << 8 | (uintptr_t)(depth & 0xFFFF) << 16 |
           (uintptr_t)(uint32_t)(descriptor + 1) << 32;
}

/* --- quick answers
 * --------------------------------------------------------------------------------------------------- */

/* Does the remembered frame still stand above `here`? On other machines than x86-64 the return address has no fixed
 * place: what was remembered is believed until a walk disagrees. */
static bool frame_stands(uintptr_t here)
{
    uintptr_t frame = guard_thread.unpickler_frame;
    if (frame == 0 || here >= frame)
        return false;
#if defined(__x86_64__)
    uintptr_t slot = frame - sizeof(uintptr_t), value;
    if (!native_readable(slot))
        return false;
    memcpy(&value, (const void *)slot, sizeof(value));
    return value == guard_thread.unpickler_return;
#else
    return true;
#endif
}

static void forget_frame(void)
{
    guard_thread.unpickler_frame = guard_thread.unpickler_return = 0;
}

static bool pure_runs(void)
{
    const void *const *codes;
    unsigned count = unpickler_pure_codes(&codes);
    return count > 0 && frames_find(codes, count) < FRAMES_SEARCHED;
}

bool unpickler_inside(struct unpickler_info *info)
{
    uintptr_t word = guard_thread.unpickler_origin;
    if (word == 0)
        return false;
    if (frame_stands((uintptr_t)__builtin_frame_address(0))) {
        if (info != NULL)
            *info = (struct unpickler_info){word_origin(word), false};
        return true;
    }
    if (word_pure(word) == ORIGIN_UNKNOWN)
        return false;
    if (!pure_runs()) {
        guard_thread.unpickler_origin = word & ~(uintptr_t)0xFF00;
        return false;
    }
    if (info != NULL)
        *info = (struct unpickler_info){word_pure(word), true};
    return true;
}

/* --- the stacks themselves
 * ------------------------------------------------------------------------------------------- */

struct stacks {
    unsigned c, pure;   /* unpicklers of each kind */
    uintptr_t frame;  /* CFA of the outermost C one */
    bool complete;    /* there are no others */
};

struct counting {
    struct stacks *stacks;
    bool before; /* the frame below was an unpickler's */
};

/* A `load` and the function that was called from Python stand side by side and are one unpickler. */
static enum native_answer count_unpickler(void *context, const struct native_frame *frame)
{
    struct counting *counting = context;
    bool now = unpickler_is(frame->ip);
    if (now && !counting->before) {
        counting->stacks->c++;
        counting->stacks->frame = frame->cfa;
    }
    counting->before = now;
    return NATIVE_GO_ON;
}

static struct stacks stacks_look(void)
{
    struct stacks stacks = {0, 0, 0, false};
    struct counting counting = {&stacks, false};
    const void *const *pure;
    if (unpickler_known())
        stacks.complete = native_visit(count_unpickler, &counting, WALK_MAX, false);
    unsigned pure_count = unpickler_pure_codes(&pure);
    if (pure_count > 0)
        stacks.pure = frames_running(pure, pure_count, FRAMES_SEARCHED);
    return stacks;
}

static void remember_frame(uintptr_t frame)
{
    guard_thread.unpickler_frame = frame;
    guard_thread.unpickler_return = 0;
#if defined(__x86_64__)
    if (frame != 0 && native_readable(frame - sizeof(uintptr_t)))
        memcpy(&guard_thread.unpickler_return, (const void *)(frame - sizeof(uintptr_t)), sizeof(uintptr_t));
#endif
}

bool unpickler_prove(struct unpickler_info *info)
{
    struct unpickler_info believed;
    if (!unpickler_inside(&believed))
        return false;
    struct stacks stacks = stacks_look();
    if (stacks.c == 0 && stacks.complete)
        forget_frame();
    else if (stacks.c > 0)
        remember_frame(stacks.frame);
    if (stacks.c == 0 && stacks.pure == 0 && (stacks.complete || believed.pure))
        return false;
    if (info != NULL)
        *info = (struct unpickler_info){believed.origin, stacks.c == 0 && stacks.pure > 0};
    return true;
}

/* The Python frames that came since the innermost unpickler. */
static unsigned frames_above(void)
{
    const void *const *pure;
    unsigned count = frames_count(), below = word_depth(guard_thread.unpickler_origin);
    unsigned above = count > below ? count - below : 0, pure_count = unpickler_pure_codes(&pure);
    unsigned to_pure = pure_count > 0 ? frames_find(pure, pure_count) : FRAMES_SEARCHED;
    return to_pure < above ? to_pure : above;
}

struct importing {
    bool found;
};

static enum native_answer find_importer(void *context, const struct native_frame *frame)
{
    struct importing *importing = context;
    importing->found = importer_is(frame->ip);
    return importing->found || unpickler_is(frame->ip) ? NATIVE_ENOUGH : NATIVE_GO_ON;
}

bool unpickler_importing(void)
{
    struct importing importing = {false};
    const void *code = importer_code();
    native_visit(find_importer, &importing, WALK_MAX, false);
    return importing.found || (code != NULL && frames_running(&code, 1, frames_above()) > 0);
}

bool unpickler_runs_above(const void *code)
{
    return frames_running(&code, 1, frames_above()) > 0;
}

enum origin unpickler_origin(void)
{
    struct unpickler_info info;
    return unpickler_prove(&info) ? info.origin : ORIGIN_UNKNOWN;
}

/* --- whose bytes
 * ----------------------------------------------------------------------------------------------------- */

/* Does the frame's code name an unpickling function itself? A pool's worker that calls what it was handed does not:
 * `pool.apply(pickle.loads, data)` is the application's own loading. */
static bool frame_unpickles(struct py_object *frame)
{
    const struct python *python = python_api();
    struct py_object *code = python_attribute(frame, "f_code"), *names = python_attribute(code, "co_names");
    ptrdiff_t count = python_is_kind(names, python->PyTuple_Type) ? python->PyTuple_Size(names) : 0;
    bool found = false;
    for (ptrdiff_t i = 0; i < count && !found; i++) {
        const char *name = python_text(python->PyTuple_GetItem(names, i));
        found = name != NULL && (strcmp(name, "loads") == 0 || strcmp(name, "load") == 0);
    }
    python_release(names);
    python_release(code);
    return found;
}

static bool frame_talks(struct py_object *frame)
{
    return frame_listed(frame, MODULES_IPC, false) && frame_unpickles(frame);
}

static bool frame_exchanges(struct py_object *frame)
{
    return frame_listed(frame, MODULES_EXCHANGES, false) && frame_unpickles(frame);
}

static bool frame_wraps(struct py_object *frame)
{
    return frame_listed(frame, MODULES_WRAPPERS, false);
}

static bool frame_caches(struct py_object *frame)
{
    return frame_listed(frame, MODULES_CACHES, false);
}

/* Is one of the `depth` frames from the unpickler's caller on such a frame? Frames of wrappers do not count. `pure`:
 * frames up to the unpickler's own `load` come first. */
static bool caller_is(bool pure, unsigned depth, bool (*such)(struct py_object *frame))
{
    const struct python *python = python_api();
    const void *const *codes;
    unsigned code_count = unpickler_pure_codes(&codes);
    struct python_error error;
    bool found = false;
    unsigned wrappers = 0;
    python_error_save(&error);
    struct py_object *frame = python->PyEval_GetFrame();
    if (frame != NULL)
        python->Py_IncRef(frame);
    for (unsigned seen = 0; frame != NULL && seen < depth && !found;) {
        if (pure) {
            struct py_object *code = python_attribute(frame, "f_code");
            for (unsigned i = 0; i < code_count; i++)
                pure = pure && code != codes[i];
            python_release(code);
        } else {
            found = such(frame);
            seen += wrappers == WRAPPER_FRAMES || !frame_wraps(frame);
            wrappers += wrappers < WRAPPER_FRAMES;
        }
        struct py_object *back = python_attribute(frame, "f_back");
        python_release(frame);
        frame = back;
    }
    python_release(frame);
    python_error_restore(&error);
    return found;
}

static int last_descriptor(void)
{
    return guard_thread.last_read_fd - 1;
}

/* ipc was said when the last thing read was `descriptor`. What imports and memory maps read meanwhile changes nothing;
 * another connection does. */
static bool ipc_still(int descriptor)
{
    struct stat status;
    int now = last_descriptor();
    if (now == descriptor || now < 0 || raw_fstat(now, &status) != 0 || !S_ISSOCK(status.st_mode))
        return true;
    return ipc_descriptor(now);
}

/* The origin of a lone unpickler. `talked`: one that stood at the same place was ipc, having read from `*descriptor`,
 * which is kept then: this may be the same, after others were read inside it. */
static enum origin origin_of_caller(bool pure, bool talked, int *descriptor)
{
    if (!talked || !ipc_still(*descriptor)) {
        *descriptor = last_descriptor();
        talked = *descriptor >= 0 && ipc_descriptor(*descriptor);
    }
    if ((talked && caller_is(pure, 1, frame_talks)) || caller_is(pure, 1, frame_exchanges))
        return ORIGIN_IPC;
    if (thread_last_open_was_cache() && caller_is(pure, CACHE_FRAMES, frame_caches))
        return ORIGIN_CACHE;
    return ORIGIN_UNPICKLER;
}

enum origin unpickler_resolving_afresh(void)
{
    uintptr_t before = guard_thread.unpickler_origin, frame = guard_thread.unpickler_frame;
    bool stood = frame_stands((uintptr_t)__builtin_frame_address(0));
    unpickler_learn();
    unpickler_learn_pure();
    struct stacks stacks = stacks_look();
    bool same_place = stood && stacks.c > 0 && frame == stacks.frame;
    int descriptor = word_descriptor(before);
    enum origin origin;
    if (stacks.c + stacks.pure <= 1)
        origin = origin_of_caller(stacks.c == 0 && stacks.pure > 0, same_place && word_origin(before) == ORIGIN_IPC,
                                  &descriptor);
    else /* the outermost decides; it was met before, when it was alone */
        origin = same_place ? word_origin(before) : ORIGIN_UNPICKLER;
    remember_frame(stacks.frame);
    guard_thread.unpickler_code = (uintptr_t)frames_innermost();
    guard_thread.unpickler_origin =
        word_make(stacks.c > 0 ? origin : ORIGIN_UNKNOWN, stacks.pure > 0 ? origin : ORIGIN_UNKNOWN,
                  frames_count(), descriptor);
    return origin;
}

enum origin unpickler_resolving(uintptr_t event_frame)
{
    const void *code = frames_innermost();
    uintptr_t word = guard_thread.unpickler_origin;
    /* The same Python code asked last time, below the same frame: the same unpickler, or its like from the same
     * place. */
    if (code != NULL && (uintptr_t)code == guard_thread.unpickler_code) {
        if (word_origin(word) != ORIGIN_UNKNOWN && frame_stands(event_frame)) {
            if (word_origin(word) != ORIGIN_IPC || ipc_still(word_descriptor(word)))
                return word_origin(word);
        } else if (word_origin(word) == ORIGIN_UNKNOWN && word_pure(word) == ORIGIN_UNPICKLER &&
                   !thread_last_open_was_cache()) {
            return ORIGIN_UNPICKLER;
        }
    }
    return unpickler_resolving_afresh();
}
