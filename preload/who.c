#include "who.h"

#include "frames.h"
#include "guard.h"
#include "python.h"
#include "unpickler.h"
#include "unpickler_learn.h"

/* Does this thread run Python? Pools of native threads that happened to be started below an unpickler (OpenMP's, those
 * of Rust libraries) serve the whole program from then on, and are nobody's. */
static bool runs_python(void)
{
    const struct python *python = python_api();
    return python != NULL && python->PyGILState_GetThisThreadState() != NULL;
}

static enum origin inherited(void)
{
    return guard_thread.inherited != 0 && runs_python() ? (enum origin)guard_thread.inherited : ORIGIN_UNKNOWN;
}

bool who_templates;

/* jinja2 compiles what did not come from a file of the application's under this name
 * (jinja2/environment.py, compile). */
static bool is_template(const void *code)
{
    return __atomic_load_n(&who_templates, __ATOMIC_RELAXED) && frames_code_claims(code, "<template>");
}

static bool is_marked(const void *code)
{
    return marked_code_origin(code) != ORIGIN_UNKNOWN || is_template(code);
}

/* The origin of the innermost marked code, and how far up it stands. */
static enum origin marked(unsigned *at)
{
    bool any = marked_code_any() || __atomic_load_n(&who_templates, __ATOMIC_RELAXED);
    const void *code = any ? frames_find_such(is_marked, at) : NULL;
    enum origin origin = code != NULL ? marked_code_origin(code) : ORIGIN_UNKNOWN;
    return code != NULL && origin == ORIGIN_UNKNOWN ? ORIGIN_TEMPLATE : origin;
}

enum origin who_guess(void)
{
    struct unpickler_info info;
    unsigned at;
    if (unpickler_inside(&info))
        return info.origin;
    if (torchscript_running())
        return ORIGIN_TORCHSCRIPT;
    if (graph_running(NULL))
        return ORIGIN_GRAPH;
    enum origin origin = marked(&at);
    return origin != ORIGIN_UNKNOWN ? origin : inherited();
}

/* Does importlib run within the `depth` innermost Python frames? */
static bool importing(unsigned depth)
{
    const void *code = importer_code();
    return code != NULL && frames_running(&code, 1, depth) > 0;
}

enum origin who_asks(void)
{
    struct unpickler_info info;
    unsigned at;
    if (unpickler_prove(&info))
        return info.origin != ORIGIN_IPC && unpickler_importing() ? ORIGIN_IMPORT : info.origin;
    if (torchscript_running())
        return ORIGIN_TORCHSCRIPT;
    if (graph_running(NULL))
        return ORIGIN_GRAPH;
    enum origin origin = marked(&at);
    if (origin != ORIGIN_UNKNOWN)
        return importing(at) ? ORIGIN_IMPORT : origin;
    origin = inherited();
    return origin != ORIGIN_UNKNOWN && importing(FRAMES_SEARCHED) ? ORIGIN_IMPORT : origin;
}

bool who_made_of_file(void)
{
    unsigned at;
    enum origin origin = unpickler_prove(NULL) ? ORIGIN_UNKNOWN : marked(&at);
    return origin == ORIGIN_UNPICKLER || origin == ORIGIN_LAMBDA;
}

/* How far below the code that starts a service's thread threading.py's frames reach. */
#define SERVICE_FRAMES 4u

/* Does a library start a thread that will serve the whole program? A file's name proves nothing, but code that claims a
 * false one is marked. */
static bool starts_service(void)
{
    struct frame frames[SERVICE_FRAMES];
    unsigned at, count = frames_walk(frames, SERVICE_FRAMES);
    const struct policy *policy = guard_policy();
    for (unsigned i = 0; policy != NULL && i < count; i++)
        if (policy_is_service_file(policy, frames[i].file))
            return marked(&at) == ORIGIN_UNKNOWN;
    return false;
}

enum origin who_passes_on(void)
{
    enum origin origin = who_guess() != ORIGIN_UNKNOWN ? who_asks() : ORIGIN_UNKNOWN;
    if (origin == ORIGIN_UNKNOWN || origin == ORIGIN_IMPORT || origin == ORIGIN_IPC || origin == ORIGIN_CACHE ||
        origin == ORIGIN_GRAPH) /* TensorFlow's threads serve all graphs */
        return ORIGIN_UNKNOWN;
    return starts_service() ? ORIGIN_UNKNOWN : origin;
}
