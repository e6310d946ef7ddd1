/* The rows of a report: models, files, edges, stacks, each once. */
#define _GNU_SOURCE
#include "report_build.h"

#include <stdlib.h>
#include <string.h>

char *report_keep(const char *text)
{
    return text ? strndup(text, strnlen(text, REPORT_TEXT)) : NULL;
}

void report_keep_first(char **kept, const char *text)
{
    if (!*kept)
        *kept = report_keep(text);
}

struct model *report_model(struct report *report, const char *id)
{
    char *key = report_keep(id);
    struct model *model = table_row(&report->models, key, sizeof(*model));

    free(key);
    return model;
}

/* A second link to what is there already: another name of that file, or of another model's. */
static struct file *file_of_real(struct report *report, struct file *file, const char *real)
{
    struct real {
        char *key;
        struct file *file;
    } *row = table_row(&report->reals, real, sizeof(*row));

    if (!row || row->file == file)
        return file;
    if (!row->file) {
        row->file = file;
        return file;
    }
    if (row->file->model != file->model) {
        file->same = row->file;
        return file;
    }
    return row->file;
}

void report_add(char **kept, size_t *count, const char *text)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(kept[i], text) == 0)
            return;
    if (*count < FILE_NAMES)
        kept[(*count)++] = report_keep(text);
}

struct file *report_file(struct report *report, struct model *model, const char *inside, const char *real)
{
    char *key;
    size_t before = report->files.count;

    if (asprintf(&key, "%s\n%.*s", model->key, REPORT_TEXT, inside) < 0)
        exit(command_error(EXIT_USAGE, "report", "out of memory"));
    struct file *file = table_row(&report->files, key, sizeof(*file));
    free(key);
    if (!file)
        return NULL;
    if (report->files.count > before) {
        file->model = model;
        file->inside = report_keep(inside);
        file->stack = -1;
    }
    struct file *first = file_of_real(report, file, real);
    if (first != file && strcmp(first->inside, inside) != 0)
        report_add(first->names, &first->name_count, inside);
    return first;
}

struct edge *report_edge(struct report *report, struct model *parent, struct model *child, const char *kind)
{
    char *key;

    if (strcmp(kind, "declared") != 0 && strcmp(kind, "pickled") != 0)
        kind = "observed";
    if (asprintf(&key, "%s\n%s\n%s", parent->key, child->key, kind) < 0)
        exit(command_error(EXIT_USAGE, "report", "out of memory"));
    struct edge *edge = table_row(&report->edges, key, sizeof(*edge));
    free(key);
    if (edge && !edge->parent) {
        edge->parent = parent;
        edge->child = child;
        edge->next = parent->edges;
        parent->edges = edge;
        edge->kind = report_keep(kind);
    }
    return edge;
}

/* The index of the record's stacks among those kept; -1: none, or too many. */
int64_t report_stack(struct report *report, const cJSON *object)
{
    const cJSON *by = cJSON_GetObjectItemCaseSensitive(object, "by"), *item;
    char *text = NULL;
    size_t size;
    bool any = false;

    FILE *out = open_memstream(&text, &size);
    if (!out)
        return -1;
    fputs("{\"python\":[", out);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(by, "python")) {
        fputs(any ? ",{\"file\":" : "{\"file\":", out);
        report_json_text(out, log_text(item, "file"));
        fprintf(out, ",\"line\":%lld,\"function\":", (long long)log_number(item, "line", 0));
        report_json_text(out, log_text(item, "function"));
        fputc('}', out);
        any = true;
    }
    fputs("],\"native\":[", out);
    bool first = true;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(by, "native")) {
        fputs(first ? "{\"object\":" : ",{\"object\":", out);
        report_json_text(out, log_text(item, "object"));
        fputs(",\"symbol\":", out);
        report_json_text(out, log_text(item, "symbol"));
        fputc('}', out);
        first = false;
        any = true;
    }
    fputs("]}", out);
    fclose(out);
    struct stack *stack = any ? table_row(&report->stacks, text, sizeof(*stack)) : NULL;
    if (stack && stack->number == 0)
        stack->number = (int64_t)report->stacks.count;
    free(text);
    return stack ? stack->number - 1 : -1;
}

struct report *report_new(const struct policy *policy)
{
    struct report *report = command_memory(sizeof(*report));

    report->models.most = REPORT_MODELS;
    report->files.most = report->reals.most = REPORT_FILES;
    report->edges.most = report->declared.most = REPORT_EDGES;
    report->events.most = REPORT_EVENTS;
    report->processes.most = report->programs.most = REPORT_PROCESSES;
    report->stacks.most = REPORT_STACKS;
    report->policy = policy;
    return report;
}

static void texts_free(char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
}
#define TEXTS_FREE(...) texts_free((char *const[]){__VA_ARGS__}, sizeof((char *const[]){__VA_ARGS__}) / sizeof(char *))

void report_free(struct report *report)
{
    struct table *tables[] = {&report->models, &report->files,     &report->reals,  &report->edges,   &report->declared,
                              &report->events, &report->processes, &report->stacks, &report->programs};

    for (size_t i = 0; i < report->models.count; i++) {
        const struct model *model = report->models.rows[i];
        TEXTS_FREE(model->revision, model->ref, model->asked.name, model->asked.file, model->asked.named_by,
                   model->asked.named_file);
    }
    for (size_t i = 0; i < report->files.count; i++) {
        const struct file *file = report->files.rows[i];
        TEXTS_FREE(file->inside, file->path, file->real, file->format, file->sha256, file->rule, file->why, file->from);
        texts_free(file->names, file->name_count);
        texts_free(file->copies, file->copy_count);
    }
    for (size_t i = 0; i < report->edges.count; i++) {
        const struct edge *edge = report->edges.rows[i];
        TEXTS_FREE(edge->kind, edge->from, edge->field, edge->revision);
    }
    for (size_t i = 0; i < report->declared.count; i++) {
        const struct declared *declared = report->declared.rows[i];
        TEXTS_FREE(declared->target, declared->from, declared->path, declared->kind, declared->field,
                   declared->revision);
    }
    for (size_t i = 0; i < report->events.count; i++) {
        const struct event *event = report->events.rows[i];
        TEXTS_FREE(event->event, event->rule, event->severity, event->name, event->arguments, event->path, event->why,
                   event->origin);
    }
    for (size_t i = 0; i < report->processes.count; i++) {
        const struct process *process = report->processes.rows[i];
        TEXTS_FREE(process->program, process->mode);
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        table_free(tables[i]);
    free(report);
}
