#include "drift.h"

#include "environment.h"
#include "line.h"

#include <string.h>

static bool ends(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

bool drift_may_concern(const char *path)
{
    static const char *const endings[] = {".json", ".txt", ".model", ".jinja", ".spm", ".bpe", ".vocab", ".tiktoken"};
    if (strstr(path, "/snapshots/") || strstr(path, "/blobs/"))
        return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends(path, endings[i]))
            return true;
    return false;
}

static bool is_temporary(const char *path)
{
    const char *const folders[] = {"/tmp", "/var/tmp", "/dev/shm", environment.temporary};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        size_t length = strlen(folders[i]);
        if (length > 1 && strncmp(path, folders[i], length) == 0 && path[length] == '/')
            return true;
    }
    return false;
}

bool drift_counts(const struct model_identity *model, const char *path, const char *format)
{
    if (model->hub || !format)
        return model->hub;
    return strncmp(model->id, "file:", 5) != 0 || model_in_root(path) ||
           (strcmp(format, "pickle") == 0 && !is_temporary(path));
}

static void put_hash(struct line *line, const char *sha256)
{
    if (sha256 && sha256[0]) {
        line_put(line, "SHA-256 ");
        line_put(line, sha256);
    } else {
        line_put(line, "a content that could not be hashed");
    }
}

static void put_clause(struct line *line, const struct lock_found *found, const struct model_identity *model,
                       const char *sha256)
{
    const char *id = model->id[0] ? model->id : "no known model";
    switch (found->state) {
    case LOCK_FILE:
        line_put(line, "is not what the lock holds: ");
        put_hash(line, found->sha256);
        line_put(line, " there, ");
        put_hash(line, sha256);
        line_put(line, " here");
        break;
    case LOCK_NO_FILE:
        line_put(line, "is a new file of ");
        line_put_visible(line, id);
        line_put(line, ", which the lock holds without it; it has ");
        put_hash(line, sha256);
        break;
    case LOCK_MOVED:
        line_put(line, "is of commit ");
        line_put_visible(line, model->revision);
        line_put(line, "; the lock holds ");
        line_put_visible(line, id);
        line_put(line, " at ");
        line_put_visible(line, found->revision);
        break;
    case LOCK_NO_COMMIT:
        line_put(line, "is of no known commit; the lock holds ");
        line_put_visible(line, id);
        line_put(line, " at ");
        line_put_visible(line, found->revision);
        break;
    case LOCK_NO_MODEL:
    case LOCK_OUTSIDE:
        line_put(line, "belongs to ");
        line_put_visible(line, id);
        line_put(line, ", which is not in the lock");
        break;
    }
}

void drift_find(const struct lock_found *found, const struct model_identity *model, const char *sha256,
                struct drift *drift)
{
    static const char *const rules[] = {
        [LOCK_NO_MODEL] = "lock-new-model", [LOCK_MOVED] = "lock-moved",    [LOCK_NO_COMMIT] = "lock-no-commit",
        [LOCK_NO_FILE] = "lock-new-file",   [LOCK_FILE] = "lock-changed",
    };
    *drift = (struct drift){.sha256 = found->sha256, .revision = found->revision};
    if (found->state == LOCK_OUTSIDE || (found->state == LOCK_FILE && sha256 && strcmp(sha256, found->sha256) == 0))
        return;
    drift->rule = rules[found->state];
    struct line line = {drift->clause, sizeof drift->clause, 0};
    put_clause(&line, found, model, sha256);
}

bool drift_new_edge(const struct lock *lock, const char *from, const char *to, const char *field, struct drift *drift)
{
    if (lock_leads(lock, from, to) != LOCK_LED_NOT)
        return false;
    *drift = (struct drift){.rule = "lock-new-edge"};
    struct line line = {drift->clause, sizeof drift->clause, 0};
    strcpy(drift->target, to);
    if (field) {
        line_put(&line, "leads to ");
        line_put_visible(&line, to);
        line_put(&line, " (");
        line_put_visible(&line, field);
        line_put(&line, "), which the lock holds, but not as a dependency of ");
    } else {
        line_put(&line, "is of ");
        line_put_visible(&line, to);
        line_put(&line, ", which the lock holds, but not as a dependency of what opens it: ");
    }
    line_put_visible(&line, from);
    return true;
}

bool drift_lost_pin(const struct lock *lock, const char *from, const char *to, const char *field, struct drift *drift)
{
    if (!lock_pins(lock, from, to))
        return false;
    *drift = (struct drift){.rule = "lock-no-commit"};
    struct line line = {drift->clause, sizeof drift->clause, 0};
    strcpy(drift->target, to);
    line_put(&line, "names ");
    line_put_visible(&line, to);
    line_put(&line, " (");
    line_put_visible(&line, field);
    line_put(&line, ") without a commit; where the lock was made, ");
    line_put_visible(&line, from);
    line_put(&line, " named it with one");
    return true;
}
