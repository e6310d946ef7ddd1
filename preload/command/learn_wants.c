#define _GNU_SOURCE
#include "learn_wants.h"

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_or_null(const char *text)
{
    return text && text[0] != '\0' ? command_copy(text) : NULL;
}

/* A library or program is named by its path; where an unpickler asks for one, the path is the pickle's. */
static bool needs_content(enum effect_kind effect, const char *name, const char *file)
{
    bool native = effect == EFFECT_NATIVE || effect == EFFECT_EXEC;
    return effect == EFFECT_CODE || effect == EFFECT_OPAQUE || effect == EFFECT_MALFORMED ||
           (native && file && strcmp(name, file) == 0);
}

bool want_needs_content(const struct want *want)
{
    return needs_content(want->effect, want->name, want->file);
}

static enum origin origin_find(const char *name)
{
    for (int origin = 0; name && origin < ORIGINS; origin++)
        if (strcmp(origin_name((enum origin)origin), name) == 0)
            return (enum origin)origin;
    return ORIGIN_UNKNOWN;
}

/* Who asked: the first frame of the program's own, else the innermost. malloc'd, or NULL. */
static char *asker_of(const cJSON *record)
{
    const cJSON *frames = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(record, "by"), "python");
    const cJSON *frame, *found = cJSON_GetArrayItem(frames, 0);
    char *text = NULL;

    cJSON_ArrayForEach(frame, frames) {
        const char *file = log_text(frame, "file");
        if (!file || file[0] == '<' || strstr(file, "/site-packages/") || strstr(file, "/dist-packages/") ||
            strstr(file, "/lib/python"))
            continue;
        found = frame;
        break;
    }
    const char *file = log_text(found, "file"), *slash = file ? strrchr(file, '/') : NULL;
    if (file && asprintf(&text, "%s:%lld", slash ? slash + 1 : file, (long long)log_number(found, "line", 0)) < 0)
        text = NULL;
    return text;
}

/* One effect that was denied, from a record or from a finding of a scan. */
struct denial {
    const char *effect, *name, *rule, *path, *sha256, *origin;
    const struct model_identity *model; /* NULL: no file is known */
    const cJSON *record;                /* with frames, or NULL */
};

/* A commit holds a hub's model; elsewhere only the file's own path says what it is. */
static bool goes_by_model(const struct model_identity *model)
{
    return model && model->id[0] != '\0' && strncmp(model->id, "file:", 5) != 0;
}

static void take(struct wants *wants, const struct denial *denial)
{
    enum effect_kind effect = denial->effect ? effect_kind_find(denial->effect, strlen(denial->effect)) : EFFECT_KINDS;
    const char *name = denial->name && denial->name[0] != '\0' ? denial->name : NULL;
    bool by_model = goes_by_model(denial->model);
    char *key = NULL;

    if (effect == EFFECT_KINDS || !name || (denial->rule && strcmp(denial->rule, "guard-fault") == 0)) {
        wants->guards++;
        return;
    }
    struct want want = {.effect = effect};
    bool content = needs_content(effect, name, denial->path);
    /* What matters only by its content differs from file to file, though it is one model's. */
    if (asprintf(&key, "%d\n%s\n%s\n%s\n%s", (int)effect, name, by_model ? denial->model->id : "",
                 by_model ? denial->model->revision : "",
                 by_model && !content ? ""
                 : denial->path       ? denial->path
                                      : "") < 0)
        return;
    size_t *number = name_table_at(&wants->numbers, key);
    free(key);
    if (*number == 0) {
        wants->list = command_grow(wants->list, wants->count, &wants->room, sizeof(*wants->list));
        want.name = command_copy(name);
        want.model = by_model ? command_copy(denial->model->id) : NULL;
        want.revision = by_model ? copy_or_null(denial->model->revision) : NULL;
        want.path = by_model ? NULL : copy_or_null(denial->path);
        want.file = copy_or_null(denial->path);
        want.rule = copy_or_null(denial->rule);
        want.asker = denial->record ? asker_of(denial->record) : NULL;
        want.origin = origin_find(denial->origin);
        wants->list[wants->count++] = want;
        *number = wants->count;
    }
    struct want *known = &wants->list[*number - 1];
    known->count++;
    if (content && denial->sha256)
        strcpy(known->sha256, denial->sha256);
}

static bool is_denied(const cJSON *object)
{
    const char *decision = log_text(object, "decision");

    return decision && strcmp(decision, "deny") == 0;
}

static void take_record(struct wants *wants, const struct log_line *line)
{
    const cJSON *record = line->object;
    struct model_identity model;

    if (!is_denied(record))
        return;
    bool file = log_model(line, &model);
    struct denial denial = {
        .effect = log_text(record, "effect"),
        .name = log_text(record, "name"),
        .rule = log_text(record, "rule"),
        .path = log_text(record, "path"),
        .sha256 = log_sha256(record),
        .origin = log_text(record, "origin"),
        .model = file ? &model : NULL,
        .record = record,
    };
    take(wants, &denial);
}

static void take_scan(struct wants *wants, const struct log_line *line)
{
    const cJSON *finding;
    struct model_identity model;
    char *path = command_absolute(log_text(line->object, "path"));

    model_identify(path, &model);
    cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(line->object, "findings")) {
        struct denial denial = {
            .effect = log_text(finding, "effect"),
            .name = log_text(finding, "name"),
            .rule = log_text(finding, "rule"),
            .path = path,
            .model = &model,
        };
        if (!is_denied(finding))
            continue;
        take(wants, &denial);
        /* What is called or created appears by name as well, and that is judged when the file is really loaded. */
        if (denial.effect && (strcmp(denial.effect, "call") == 0 || strcmp(denial.effect, "create") == 0)) {
            denial.effect = "import";
            take(wants, &denial);
        }
    }
    free(path);
}

void wants_take(void *context, const struct log_line *line)
{
    if (line->scan)
        take_scan(context, line);
    else
        take_record(context, line);
}

void wants_free(struct wants *wants)
{
    for (size_t i = 0; i < wants->count; i++) {
        struct want *want = &wants->list[i];
        free(want->name);
        free(want->model);
        free(want->revision);
        free(want->path);
        free(want->file);
        free(want->asker);
        free(want->rule);
    }
    free(wants->list);
    name_table_free(&wants->numbers);
}
