#define _GNU_SOURCE
#include "model_code.h"

#include "decimal.h"
#include "digest.h"
#include "frame_module.h"
#include "drift.h"
#include "guard.h"
#include "marked_code.h"
#include "model.h"
#include "raw.h"
#include "record.h"
#include "settle.h"
#include "unpickler.h"

#include <limits.h>
#include <string.h>

/* Larger than any module of transformers (0.6 MB is the largest); more is not read, so not approved by digest. */
#define MODEL_CODE_MAX (16u << 20)
#define MESSAGE_SIZE 2048u

/* A source file in a mapping. */
struct code_file {
    char *bytes;
    size_t length, mapped;
};

static bool read_source(const char *path, struct code_file *file)
{
    struct stat status;
    *file = (struct code_file){0};
    long fd = raw_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    if (raw_fstat((int)fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= 0 &&
        status.st_size <= MODEL_CODE_MAX) {
        file->mapped = (size_t)status.st_size + 1;
        file->bytes = raw_take(NULL, file->mapped);
        while (file->bytes && file->length < file->mapped - 1) {
            long got = raw_read((int)fd, file->bytes + file->length, file->mapped - 1 - file->length);
            if (got <= 0)
                break;
            file->length += (size_t)got;
        }
    }
    raw_close((int)fd);
    return file->bytes != NULL;
}

static void free_source(struct code_file *file)
{
    if (file->bytes)
        raw_give(NULL, file->bytes, file->mapped);
}

static bool source_sha256(void *context, char hex[DIGEST_HEX])
{
    const struct code_file *file = context;
    if (!file->bytes)
        return false;
    digest_hex(file->bytes, file->length, hex);
    return true;
}

/* The folders into which libraries copy the code of models before they import it. */
static bool is_copied_model_code(const char *path)
{
    return strstr(path, "/transformers_modules/") || strstr(path, "/diffusers_modules/") ||
           strstr(path, "/datasets_modules/");
}

/* The absolute path of the file that a code object names, without ".." in it (`sys.path.insert(0, "../models")` is how
 * people write it). The last link is not followed: in a hub cache it says more than the blob. False: no such file, as
 * for code made of a string. */
static bool locate(const char *name, char path[PATH_MAX])
{
    char folder[PATH_MAX], link[DESCRIPTOR_LINK_SIZE];
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    struct stat status;
    if (strlen(name) >= PATH_MAX)
        return false;
    strcpy(path, name);
    if (name[0] == '/' && !strstr(name, "/../"))
        return true;
    if (name[0] == '<' || raw_fstatat(AT_FDCWD, name, &status, 0) < 0 || !S_ISREG(status.st_mode))
        return false;
    strcpy(folder, slash ? name : ".");
    if (slash)
        folder[slash - name] = 0;
    long fd = raw_openat(AT_FDCWD, folder[0] ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    long length = raw_readlinkat(AT_FDCWD, descriptor_link((int)fd, link), path, PATH_MAX - 1);
    raw_close((int)fd);
    if (length <= 0 || (size_t)length + strlen(base) + 1 >= PATH_MAX)
        return false;
    path[length] = '/';
    strcpy(path + length + 1, base);
    return true;
}

/* Does a library that loads models ask for this import, or a model's own code? What the application imports, from
 * beside weights too, is the application; what such a library imports from there came with the model. */
static bool asked_by_loader(void)
{
    struct py_object *frame = frame_importer(), *code = python_attribute(frame, "f_code");
    bool asked =
        frame != NULL && (marked_code_origin(code) != ORIGIN_UNKNOWN || frame_listed(frame, MODULES_LOADERS, true));
    python_release(code);
    python_release(frame);
    return asked;
}

static bool is_model_code(const char *path)
{
    struct model_identity identity;
    if (is_copied_model_code(path))
        return true;
    enum home home = settle_file(path, unpickler_origin() != ORIGIN_UNPICKLER);
    if (home == HOME_MODEL)
        return true;
    if (home != HOME_APP)
        return false;
    /* A hub cache may lie below the application's own folder. */
    model_identify(path, &identity);
    return identity.hub || (model_in_root(path) && asked_by_loader());
}

/* builtins.compile(source, path, "exec", flags=0, dont_inherit=True), as importlib's source_to_code does; NULL: it
 * fails. */
static struct py_object *compile_source(const struct code_file *file, const char *path)
{
    const struct python *python = python_api();
    struct py_object *compile = python_attribute(python_module("builtins"), "compile");
    struct py_object *arguments = compile ? python->PyTuple_New(5) : NULL, *code = NULL;
    if (arguments) {
        python->PyTuple_SetItem(arguments, 0, python->PyBytes_FromStringAndSize(file->bytes, (ptrdiff_t)file->length));
        python->PyTuple_SetItem(arguments, 1, python_string(path));
        python->PyTuple_SetItem(arguments, 2, python_string("exec"));
        python->PyTuple_SetItem(arguments, 3, python->PyLong_FromLong(0));
        python->PyTuple_SetItem(arguments, 4, python->PyLong_FromLong(1));
        code = python->PyObject_Call(compile, arguments, NULL);
    }
    if (!code)
        python->PyErr_Clear();
    python_release(arguments);
    python_release(compile);
    return code;
}

/* Code objects are equal when names, constants (code among them) and instructions are; file names do not count
 * (Objects/codeobject.c, code_richcompare). */
static bool is_compiled_from(struct py_object *code, const struct code_file *file, const char *path)
{
    const struct python *python = python_api();
    struct py_object *fresh = file->bytes ? compile_source(file, path) : NULL;
    int equal = fresh ? python->PyObject_RichCompareBool(code, fresh, 2 /* Py_EQ */) : 0;
    if (equal < 0)
        python->PyErr_Clear();
    python_release(fresh);
    return equal == 1;
}

/* Under a lock, what the policy lets run must be what the lock holds. */
static bool differs_from_lock(const struct subject *subject, const struct model_identity *identity, struct drift *drift)
{
    const struct lock *lock = guard_lock();
    char sha256[DIGEST_HEX] = "";
    if (!lock)
        return false;
    struct lock_found found = lock_find(lock, identity->id, identity->revision, identity->inside);
    (void)subject->sha256(subject->sha256_context, sha256);
    drift_find(&found, identity, sha256, drift);
    if (!drift->rule)
        return false;
    struct record record = {.event = "drift", .decision = DECISION_DENY, .rule = drift->rule, .severity = "high",
                            .path = subject->path, .format = "python", .size = -1, .sha256 = sha256[0] ? sha256 : NULL,
                            .model = identity, .origin = subject->origin, .why = drift->clause, .locked = true,
                            .locked_sha256 = drift->sha256, .locked_revision = drift->revision};
    record_write(&record);
    return true;
}

static enum decision judge(struct py_object *code, const char *path, char *message)
{
    struct model_identity identity;
    struct code_file file;
    model_identify(path, &identity);
    read_source(path, &file);
    struct argument inside = {ARGUMENT_STRING, identity.inside};
    struct effect effect = {.kind = EFFECT_CODE, .name = "python", .arguments = &inside, .argument_count = 1,
                            .argument_known = true, .format = "python"};
    struct subject subject = {
        .effect = &effect,
        .moment = MOMENT_LIVE,
        .origin = unpickler_origin() == ORIGIN_UNPICKLER ? ORIGIN_UNPICKLER : ORIGIN_MODEL_CODE,
        .path = path,
        .model = identity.id[0] ? identity.id : NULL,
        .revision = identity.revision[0] ? identity.revision : NULL,
        .sha256 = source_sha256,
        .sha256_context = &file,
    };
    struct judgement judgement;
    struct drift drift;
    const struct policy *policy = guard_policy();
    enum decision decision;
    if (!policy) {
        decision = guard_decide(&subject, NULL, 0, message, MESSAGE_SIZE);
    } else {
        policy_judge(policy, &subject, &judgement);
        if (judgement.decision != DECISION_DENY && !is_compiled_from(code, &file, path)) {
            effect.detail = "not what its source file compiles to";
            judgement = (struct judgement){.decision = DECISION_DENY, .rule = "model-code-stale", .severity = "high",
                                           .why = "what would run is not what the source file compiles to"};
        }
        if (judgement.decision != DECISION_DENY && differs_from_lock(&subject, &identity, &drift)) {
            effect.detail = drift.clause;
            judgement = (struct judgement){.decision = DECISION_DENY, .rule = drift.rule, .severity = "high",
                                           .why = "it is not the code that the lock holds"};
        }
        decision = guard_act(&subject, &judgement, NULL, 0, message, MESSAGE_SIZE);
    }
    free_source(&file);
    return decision;
}

int model_code_judge(struct py_object *arguments)
{
    const struct python *python = python_api();
    struct py_object *code = python->PyTuple_GetItem(arguments, 0);
    if (!python_is(code, python->PyCode_Type))
        return 0;
    struct py_object *name = frame_executed_origin();
    if (name == NULL)
        name = python_attribute(code, "co_filename");
    const char *text = python_text(name);
    char path[PATH_MAX], message[MESSAGE_SIZE] = "";
    enum decision decision = DECISION_ALLOW;
    struct guard_section section = guard_enter();
    if (text && text[0] != '<' && locate(text, path) && is_model_code(path)) {
        struct python_error error;
        python_error_save(&error);
        decision = judge(code, path, message);
        if (decision != DECISION_DENY)
            marked_code_add(code, ORIGIN_MODEL_CODE);
        python_error_restore(&error);
    }
    guard_leave(section);
    python_release(name);
    return decision == DECISION_DENY ? python_deny(message) : 0;
}
