#define _GNU_SOURCE
#include "inventory.h"

#include "../../policy/lock.h"
#include "../drift.h"
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Larger than the vocabularies of tokenizers, which have up to some MB. */
#define VOCABULARY_MAX (32 << 20)

static char *joined(const char *first, const char *between, const char *second)
{
    char *text = command_memory(strlen(first) + strlen(between) + strlen(second) + 1);

    return strcat(strcat(strcpy(text, first), between), second);
}

size_t inventory_model(struct inventory *inventory, const char *id, const char *revision)
{
    char *key = joined(id, "\n", revision ? revision : "");
    size_t *number = name_table_at(&inventory->numbers, key);

    free(key);
    if (*number == 0) {
        inventory->models =
            command_grow(inventory->models, inventory->count, &inventory->room, sizeof(*inventory->models));
        inventory->models[inventory->count++] = (struct inventory_model){
            .id = command_copy(id), .revision = revision && revision[0] != '\0' ? command_copy(revision) : NULL};
        *number = inventory->count;
    }
    return *number - 1;
}

struct inventory_file *inventory_file(struct inventory *inventory, size_t model, const char *inside)
{
    struct inventory_model *of = &inventory->models[model];
    char *place = joined(of->id, "\n", of->revision ? of->revision : ""), *key = joined(place, "\n", inside);
    size_t *number = name_table_at(&inventory->numbers, key);

    free(place);
    free(key);
    if (*number == 0) {
        of->files = command_grow(of->files, of->count, &of->room, sizeof(*of->files));
        of->files[of->count++] = (struct inventory_file){.inside = command_copy(inside)};
        *number = of->count;
    }
    return &of->files[*number - 1];
}

static void take_file(struct inventory *inventory, const struct model_identity *identity, const char *path,
                      const char *sha256)
{
    size_t number = inventory_model(inventory, identity->id, identity->revision);
    struct inventory_file *file = inventory_file(inventory, number, identity->inside);
    struct inventory_model *model = &inventory->models[number];
    size_t length = strlen(path), inside = strlen(identity->inside);

    if (!file->path)
        file->path = command_copy(path);
    /* The latest record is the truest. */
    if (sha256)
        strcpy(file->sha256, sha256);
    if (!model->folder && length > inside + 1 && path[length - inside - 1] == '/' &&
        strcmp(path + length - inside, identity->inside) == 0)
        model->folder = strndup(path, length - inside - 1);
}

struct inventory_edge *inventory_edge(struct inventory *inventory, const char *from, const char *to)
{
    char *key = joined(from, "\n>\n", to);
    size_t *known = name_table_at(&inventory->numbers, key);

    free(key);
    if (*known != 0)
        return &inventory->edges[*known - 1];
    inventory->edges =
        command_grow(inventory->edges, inventory->edge_count, &inventory->edge_room, sizeof(*inventory->edges));
    inventory->edges[inventory->edge_count++] =
        (struct inventory_edge){.from = command_copy(from), .to = command_copy(to)};
    *known = inventory->edge_count;
    return &inventory->edges[*known - 1];
}

static bool text_is(const cJSON *object, const char *key, const char *wanted)
{
    const char *text = log_text(object, key);

    return text && strcmp(text, wanted) == 0;
}

/* Did the program get the file, or would it have but for the lock? */
static bool was_loaded(const cJSON *record)
{
    const char *rule = log_text(record, "rule");

    return !text_is(record, "decision", "deny") || text_is(record, "mode", "audit") ||
           (rule && strncmp(rule, "lock-", 5) == 0);
}

/* `declared`: a model names the file as a part of it. */
static bool is_wanted(const struct inventory *inventory, const struct model_identity *identity, const char *path,
                      const char *format, bool declared)
{
    if (!lock_in_scope(inventory->globs, inventory->glob_count, identity->id) || identity->inside[0] == '\0' ||
        strncmp(identity->inside, "blobs/", 6) == 0)
        return false;
    return declared || (format && inventory->glob_count > 0) || drift_counts(identity, path, format);
}

static void take_record(struct inventory *inventory, const struct log_line *line)
{
    const cJSON *record = line->object;
    const char *path = log_text(record, "path"), *parent = log_text(record, "parent"), *name = log_text(record, "name");
    const char *target = log_text(record, "target");
    bool load = text_is(record, "event", "load"),
         code = text_is(record, "event", "code") && name && strcmp(name, "python") == 0;
    struct model_identity identity;

    /* What a file names, whether or not it was loaded. */
    if (target && !load && !text_is(record, "event", "drift") && log_model(line, &identity)) {
        const cJSON *pinned = cJSON_GetObjectItemCaseSensitive(record, "pinned");
        struct inventory_edge *edge = inventory_edge(inventory, identity.id, target);
        if (cJSON_IsBool(pinned) && edge->pin != PIN_NONE)
            edge->pin = cJSON_IsTrue(pinned) ? PIN_COMMIT : PIN_NONE;
    }
    if (!(load || code) || !was_loaded(record) || !log_model(line, &identity) ||
        !is_wanted(inventory, &identity, path, code ? "python" : log_text(record, "format"),
                   text_is(record, "edge", "declared")))
        return;
    take_file(inventory, &identity, path, log_sha256(record));
    if (load && parent && strcmp(parent, identity.id) != 0)
        inventory_edge(inventory, parent, identity.id);
}

static void take_scan(struct inventory *inventory, const struct log_line *line)
{
    const cJSON *formats = cJSON_GetObjectItemCaseSensitive(line->object, "format");
    const char *format = cJSON_GetStringValue(cJSON_GetArrayItem(formats, cJSON_GetArraySize(formats) - 1));
    char *path = command_absolute(log_text(line->object, "path"));
    struct model_identity identity;

    model_identify(path, &identity);
    if ((text_is(line->object, "verdict", "allow") || text_is(line->object, "verdict", "warn")) &&
        is_wanted(inventory, &identity, path, format, false))
        take_file(inventory, &identity, path, NULL);
    free(path);
}

void inventory_take(void *context, const struct log_line *line)
{
    if (line->scan)
        take_scan(context, line);
    else
        take_record(context, line);
}

void inventory_add_vocabularies(struct inventory *inventory)
{
    static const char *const names[] = {
        "vocab.txt",     "merges.txt",   "vocab.bpe",           "bpe.codes",  "tokenizer.model",  "spiece.model",
        "sentencepiece.bpe.model", "source.spm", "target.spm", "vocab.spm", "tokenizer.tiktoken", "chat_template.jinja",
    };

    for (size_t i = 0; i < inventory->count; i++) {
        const char *folder = inventory->models[i].folder;
        for (size_t j = 0;
             folder && strncmp(inventory->models[i].id, "file:", 5) == 0 && j < sizeof(names) / sizeof(*names); j++) {
            char *path = joined(folder, "/", names[j]);
            struct stat status;
            if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
                status.st_size <= VOCABULARY_MAX && model_in_root(path)) {
                struct inventory_file *file = inventory_file(inventory, i, names[j]);
                if (!file->path)
                    file->path = command_copy(path);
            }
            free(path);
        }
    }
}

void inventory_free(struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->count; i++) {
        struct inventory_model *model = &inventory->models[i];
        for (size_t j = 0; j < model->count; j++) {
            free(model->files[j].inside);
            free(model->files[j].path);
        }
        free(model->id);
        free(model->revision);
        free(model->key);
        free(model->folder);
        free(model->files);
    }
    for (size_t i = 0; i < inventory->edge_count; i++) {
        free(inventory->edges[i].from);
        free(inventory->edges[i].to);
    }
    free(inventory->models);
    free(inventory->edges);
    name_table_free(&inventory->numbers);
}
