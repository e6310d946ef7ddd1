/* Hashes of files, and what of an old lock is still true. */
#define _GNU_SOURCE
#include "lock_verb.h"

#include "../file_hash.h"
#include "../judge.h"
#include "../line.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Judges the file as the library does when it is opened under a name of this model, for the digest of the judged
 * blocks. */
static void judge(int fd, const struct stat *status, const char *path, const struct policy *policy, struct seal *seal)
{
    struct judged *judged = command_memory(sizeof(*judged));
    struct judge_request request = {
        .policy = policy,
        .subject = {.moment = MOMENT_LOAD, .path = path},
        .in_model_root = scan_config_name(path) && model_in_root(path),
    };
    struct seal_source reading;

    if (seal_source_open(&reading, &request.source, fd, (uint64_t)status->st_size, seal))
        judge_source(&request, judged);
    seal_source_close(&reading);
    free(judged);
}

/* NULL, or why not. */
static const char *hash(const char *path, const struct policy *policy, char sha256[DIGEST_HEX])
{
    struct seal seal = {0};
    struct stat status;
    const char *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return "it is no regular file";
    }
    judge(fd, &status, path, policy, &seal);
    enum hash_answer answer = file_hash(fd, &status, &seal, sha256);
    if (answer != HASH_DONE) {
        why = answer == HASH_CHANGED ? "it keeps changing" : "reading it failed";
        sha256[0] = '\0';
    }
    seal_free(&seal);
    close(fd);
    return why;
}

/* A lock is JSON, and so UTF-8. */
static bool can_be_named(const char *inside)
{
    for (const unsigned char *at = (const unsigned char *)inside; *at != '\0';) {
        size_t length = line_visible(at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

static bool left_out(const char *path, const char *why)
{
    fputs("guard lock: ", stderr);
    command_print_visible(stderr, path);
    fprintf(stderr, ": left out of the lock: %s\n", why);
    return true;
}

size_t lock_hash(struct inventory *inventory, const struct policy *policy)
{
    size_t missing = 0;

    for (size_t i = 0; i < inventory->count; i++) {
        for (size_t j = 0; j < inventory->models[i].count; j++) {
            struct inventory_file *file = &inventory->models[i].files[j];
            const char *why = NULL;
            if (!can_be_named(file->inside)) {
                why = "its name is no text that JSON can hold";
                file->sha256[0] = '\0';
            } else if (!file->sha256[0] && !file->gone) {
                why = file->path ? hash(file->path, policy, file->sha256) : "nobody knows where it lies";
            }
            missing += why && left_out(file->path ? file->path : file->inside, why);
        }
    }
    return missing;
}

/* The number of models that an old model may have become: those of its id, or whose folder it names. `last` is one of
 * them. */
static size_t heirs(const struct inventory *inventory, const struct lock_model *old, size_t *last)
{
    size_t count = 0;

    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_model *model = &inventory->models[i];
        if (model->count == 0 || (strcmp(model->id, old->id) != 0 && !lock_same_folder(old->id, model->id)))
            continue;
        *last = i;
        count++;
    }
    return count;
}

static bool same_revision(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Further files of a model that the logs tell of: as they are now, if that can be seen. */
static void keep_files(struct inventory *inventory, size_t number, const struct lock_model *old)
{
    const char *folder = inventory->models[number].folder;

    for (size_t i = 0; i < old->file_count; i++) {
        struct inventory_file *file = inventory_file(inventory, number, old->files[i].inside);
        if (file->path || file->sha256[0])
            continue;
        if (!folder) {
            strcpy(file->sha256, old->files[i].sha256);
            continue;
        }
        if (asprintf(&file->path, "%s/%s", folder, old->files[i].inside) < 0)
            file->path = NULL;
        file->gone = file->path && access(file->path, F_OK) < 0 && errno == ENOENT;
    }
}

static void keep_model(struct inventory *inventory, const struct lock_model *old)
{
    size_t number = inventory_model(inventory, old->id, old->revision);

    inventory->models[number].key = command_copy(old->id);
    for (size_t i = 0; i < old->file_count; i++)
        strcpy(inventory_file(inventory, number, old->files[i].inside)->sha256, old->files[i].sha256);
}

/* Does the old lock have this model at this commit? */
static bool lock_has(const struct lock *lock, const struct inventory_model *model)
{
    enum lock_state state = lock_find(lock, model->id, model->revision, "").state;

    return state == LOCK_FILE || state == LOCK_NO_FILE;
}

/* The model that the old lock calls `name`; `same`: at a commit that it has. NULL: it is gone. */
static const struct inventory_model *still_there(const struct inventory *inventory, const struct lock *old,
                                                 const char *name, bool same)
{
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_model *model = &inventory->models[i];
        if (model->count > 0 && strcmp(model->key ? model->key : model->id, name) == 0 &&
            (!same || lock_has(old, model)))
            return model;
    }
    return NULL;
}

/* Not every run shows every edge: those of a model that did not move stay. */
static void keep_edges(struct inventory *inventory, const struct lock *old)
{
    for (size_t i = 0; i < lock_edge_count(old); i++) {
        const struct lock_edge *edge = lock_edge(old, i);
        const struct inventory_model *from = still_there(inventory, old, edge->from, true);
        const struct inventory_model *to = still_there(inventory, old, edge->to, false);
        if (!from || !to)
            continue;
        struct inventory_edge *kept = inventory_edge(inventory, from->id, to->id);
        if (kept->pin == PIN_UNSAID)
            kept->pin = edge->pinned ? PIN_COMMIT : PIN_NONE;
    }
}

void lock_keep(struct inventory *inventory, const struct lock *old)
{
    size_t told = inventory->count;

    for (size_t i = 0; i < lock_models(old); i++) {
        const struct lock_model *model = lock_model(old, i);
        size_t last = 0, count = heirs(inventory, model, &last);
        bool moved = false, kept = false;
        for (size_t j = 0; count > 0 && j < told; j++) {
            struct inventory_model *heir = &inventory->models[j];
            if (strcmp(heir->id, model->id) != 0 && !(count == 1 && j == last))
                continue;
            if (same_revision(heir->revision, model->revision)) {
                if (!heir->key)
                    heir->key = command_copy(model->id);
                keep_files(inventory, j, model);
                kept = true;
            } else {
                moved |= !lock_has(old, heir);
            }
        }
        if (!kept && !moved && !(count > 1 && strncmp(model->id, "file:", 5) == 0))
            keep_model(inventory, model);
    }
    keep_edges(inventory, old);
}
