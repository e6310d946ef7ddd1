#define _GNU_SOURCE
#include "library.h"

#include "check.h"
#include "file_hash.h"
#include "place.h"
#include "python.h"
#include "raw.h"
#include "runtime.h"
#include "scratch.h"
#include "text_hash.h"
#include "who.h"

#include <errno.h>
#include <string.h>

/* --- where the program's own code lies
 * ------------------------------------------------------------------------------- */

#define PLACE_SIZE 1024u /* longer folders are not noted */
#define PACKAGES   8u /* folders for installed packages: a virtual environment's, the user's, the distribution's two */
/* How often what is noted may change in one process: it is read without a lock, so what it replaces is never given
 * back. */
#define PLACES_CHANGES 16u

struct places {
    uint64_t hash;
    char prefix[PLACE_SIZE];         /* of the interpreter */
    char application[2][PLACE_SIZE]; /* the main script's folder, and the first on sys.path */
    char packages[PACKAGES][PLACE_SIZE];
};
static struct places *places;

static void note(char place[PLACE_SIZE], const char *text, size_t length, uint64_t *hash)
{
    if (length >= PLACE_SIZE)
        length = 0;
    memcpy(place, text, length);
    place[length] = '\0';
    *hash = text_hash(text_hash(*hash, place), "\n");
}

static void gather(struct places *found)
{
    const struct python *python = python_api();
    struct py_object *file = python_attribute(python_module("__main__"), "__file__");
    struct py_object *list = python->PySys_GetObject("path");
    ptrdiff_t count = python_is_kind(list, python->PyList_Type) ? python->PyList_Size(list) : 0;
    const char *prefix = python_text(python->PySys_GetObject("base_prefix")), *script = python_text(file);
    const char *slash = script != NULL ? strrchr(script, '/') : NULL;
    unsigned packages = 0;
    found->hash = TEXT_HASH_START;
    note(found->prefix, prefix != NULL ? prefix : "", prefix != NULL ? strlen(prefix) : 0, &found->hash);
    note(found->application[0], slash != NULL ? script : "", slash != NULL ? (size_t)(slash - script) : 0,
         &found->hash);
    for (ptrdiff_t i = 0; i < count; i++) {
        const char *entry = python_text(python->PyList_GetItem(list, i));
        if (entry == NULL)
            continue;
        if (!place_site_packages(entry) && i == 0)
            note(found->application[1], entry, strlen(entry), &found->hash);
        else if (place_site_packages(entry) && packages < PACKAGES)
            note(found->packages[packages++], entry, strlen(entry), &found->hash);
    }
    python_release(file);
}

void library_note_places(void)
{
    static unsigned changes;
    struct guard_section section = guard_enter();
    struct places *before = __atomic_load_n(&places, __ATOMIC_ACQUIRE);
    struct places *found = scratch_take(NULL, sizeof *found);
    struct python_error error;
    if (found != NULL) {
        python_error_save(&error);
        gather(found);
        python_error_restore(&error);
        struct places *kept = NULL;
        if ((before == NULL || before->hash != found->hash) &&
            __atomic_fetch_add(&changes, 1, __ATOMIC_RELAXED) < PLACES_CHANGES)
            kept = raw_take(NULL, sizeof *kept);
        if (kept != NULL) {
            memcpy(kept, found, sizeof *kept);
            __atomic_store_n(&places, kept, __ATOMIC_RELEASE);
        }
        scratch_give(NULL, found, sizeof *found);
    }
    guard_leave(section);
}

/* --- whose it is
 * ----------------------------------------------------------------------------------------------------- */

/* One file being judged; too large for a stranger's stack. */
struct library {
    char shown[PATH_MAX]; /* absolute, as the program names it */
    char real[PATH_MAX];  /* what the kernel calls it */
    struct stat status;
    struct model_identity model;
    int fd;
};

/* Put there by an administrator, or by whoever installed the interpreter. */
static bool is_system(const char *path, const struct places *known)
{
    static const char *const folders[] = {"/lib",       "/lib64",         "/lib32",    "/usr/lib",
                                          "/usr/lib64", "/usr/local/lib", "/nix/store"};
    char folder[PLACE_SIZE + sizeof "/lib"];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (place_within(path, folders[i]))
            return true;
    if (known == NULL || known->prefix[0] == '\0')
        return false;
    strcpy(folder, known->prefix);
    return place_within(path, strcat(folder, "/lib"));
}

static bool is_installed(const char *path, const struct places *known)
{
    for (unsigned i = 0; known != NULL && i < PACKAGES; i++)
        if (place_within(path, known->packages[i]))
            return true;
    return false;
}

static bool is_application(const char *path, const struct places *known)
{
    return known != NULL && (place_within(path, known->application[0]) || place_within(path, known->application[1]));
}

/* `inside`: an unpickler asks. What it brings in from a folder with weights is the model's, even in the application's.
 * A link is its owner's, unless it leads to a model's file. */
static enum home home_of(struct library *library, bool inside)
{
    const struct places *known = __atomic_load_n(&places, __ATOMIC_ACQUIRE);
    const char *shown = library->shown;
    if (model_in_hub(library->real, &library->model) || model_in_hub(shown, &library->model))
        return HOME_MODEL;
    if (is_installed(shown, known))
        return HOME_INSTALLED;
    if (is_system(shown, known))
        return HOME_STDLIB;
    if (!inside && is_application(shown, known) &&
        (is_application(library->real, known) || !model_in_root(library->real)))
        return HOME_APP;
    if (model_in_root(shown) || model_in_root(library->real))
        return HOME_MODEL;
    return place_temporary(shown) || place_temporary(library->real) || !strncmp(library->real, "/memfd:", 7)
               ? HOME_TEMPORARY
               : HOME_APP;
}

/* Where administrators and whoever installed the interpreter put programs. */
static bool is_system_program(const char *path, const struct places *known)
{
    return place_within(path, "/usr") || place_within(path, "/bin") || place_within(path, "/sbin") ||
           is_system(path, known) || (known != NULL && place_within(path, known->prefix));
}

bool library_is_models(const char *shown, const char *real, bool beside, struct model_identity *model)
{
    const struct places *known = __atomic_load_n(&places, __ATOMIC_ACQUIRE);
    if (model_in_hub(real, model) || model_in_hub(shown, model))
        return true;
    if (is_installed(shown, known) || is_system_program(shown, known) || is_system_program(real, known))
        return false;
    bool its = model_by_name(shown) || model_by_name(real);
    if (!its && beside &&
        (!is_application(shown, known) || (!is_application(real, known) && model_beside_weights(real))))
        its = model_beside_weights(shown) || model_beside_weights(real);
    if (its)
        model_identify(shown, model);
    return its;
}

/* --- the judgement
 * --------------------------------------------------------------------------------------------------- */

static bool may_run(struct library *library, char *message, size_t size)
{
    enum origin origin = who_suspected() ? who_asks() : ORIGIN_UNKNOWN;
    enum home home = home_of(library, origin == ORIGIN_UNPICKLER);
    /* Every start of an interpreter loads some of these: they are not worth reading a policy. */
    if (home == HOME_STDLIB)
        return true;
    /* A policy or lock that cannot be read denies what models load; the program's own libraries are no models. */
    if (home == HOME_INSTALLED && origin == ORIGIN_UNKNOWN && !guard_policy())
        return true;
    if (!library->model.hub)
        model_identify(library->shown, &library->model);
    if (home != HOME_INSTALLED && (origin == ORIGIN_UNKNOWN || origin == ORIGIN_UNPICKLER) &&
        place_own_cache(library->real, &library->status))
        origin = ORIGIN_CACHE;
    struct effect effect = {.kind = EFFECT_NATIVE, .name = library->shown};
    struct subject subject = {
        .effect = &effect,
        .moment = MOMENT_LIVE,
        .origin = origin,
        .home = home,
        .path = library->shown,
        .model = library->model.id[0] ? library->model.id : NULL,
        .revision = library->model.revision[0] ? library->model.revision : NULL,
        .sha256 = file_hash_asked,
        .sha256_context = &library->fd,
    };
    return guard_decide(&subject, NULL, 0, message, size) != DECISION_DENY;
}

/* `path` NULL: known by its descriptor alone. */
static bool judge(int fd, const char *path, char *message, size_t size)
{
    struct library *library = scratch_take_partly(sizeof *library, 0);
    bool may = true;
    if (library == NULL)
        return guard_mode() != MODE_ENFORCE;
    library->fd = fd;
    if (raw_fstat(fd, &library->status) == 0 && S_ISREG(library->status.st_mode)) {
        (void)check_name(fd, AT_FDCWD, path, library->shown, library->real);
        if (strstr(library->shown, "/../") != NULL)
            strcpy(library->shown, library->real);
        may = may_run(library, message, size);
    }
    scratch_give(NULL, library, sizeof *library);
    return may;
}

bool library_may_load(const char *path, char *message, size_t size)
{
    if (!guard_may_judge())
        return true;
    bool may = true;
    struct guard_section section = guard_enter();
    long fd = !guard_borrowed_memory() && runtime_present() ? raw_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0) : -1;
    if (fd >= 0) {
        may = judge((int)fd, path, message, size);
        raw_close((int)fd);
    }
    guard_leave(section);
    return may;
}

bool library_may_map(int fd)
{
    if (!guard_may_judge())
        return true;
    struct guard_section section = guard_enter();
    bool may = guard_borrowed_memory() || !runtime_present() || judge(fd, NULL, NULL, 0);
    guard_leave(section);
    return may;
}
