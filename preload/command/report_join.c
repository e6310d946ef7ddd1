/* What configs and pickles name, and which models those names mean. */
#define _GNU_SOURCE
#include "report_build.h"

#include <stdlib.h>
#include <string.h>

/* The first string among a call's arguments as records write them: "..." */
static char *first_string(const char *arguments)
{
    const char *start = arguments ? strchr(arguments, '"') : NULL, *end = start ? strchr(start + 1, '"') : NULL;

    return end ? strndup(start + 1, (size_t)(end - start - 1)) : NULL;
}

void report_declared(struct report *report, const struct log_line *line, struct model *model, const char *inside)
{
    const cJSON *object = line->object;
    const char *kind = log_text(object, "edge"), *field = log_text(object, "field");
    bool call = strcmp(log_text(object, "event"), "call") == 0;
    char *key, *target = call ? first_string(log_text(object, "args")) : report_keep(log_text(object, "name"));

    if (!target || strcmp(log_text(object, "event"), "read") == 0) {
        free(target);
        return;
    }
    if (asprintf(&key, "%s\n%s\n%s", model->key, target, field ? field : "") < 0)
        exit(command_error(EXIT_USAGE, "report", "out of memory"));
    struct declared *declared = table_row(&report->declared, key, sizeof(*declared));
    free(key);
    if (declared && !declared->model) {
        declared->model = model;
        declared->target = target;
        declared->from = report_keep(inside);
        declared->path = report_keep(log_text(object, "path"));
        declared->kind = report_keep(kind);
        declared->field = report_keep(field ? field : call ? log_text(object, "name") : NULL);
        declared->revision = report_keep(log_text(object, "revision"));
        declared->pinned = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "pinned")) != 0;
        return;
    }
    free(target);
}

/* Models that one model led to, searched for a relative name. Real ones lead to five; a hostile log may have every edge
 * at one model, and as many names to look for. */
#define CHILDREN_SEARCHED 256

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);

    return length > end_length && strcmp(text + length - end_length, end) == 0 && text[length - end_length - 1] == '/';
}

/* Among the models that the declaring one led to, else among all of them. */
static struct model *child_find(const struct report *report, const struct declared *declared)
{
    char id[REPORT_TEXT + 8];
    const char *target = declared->target;
    struct model_identity identity;

    snprintf(id, sizeof(id), "hf:%s", target);
    struct model *model = table_find(&report->models, id);
    if (model || target[0] == '\0')
        return model;
    if (target[0] == '/') {
        snprintf(id, sizeof(id), "%s/x", target);
        model_identify(id, &identity);
        model = table_find(&report->models, identity.id);
        if (model)
            return model;
        model_identify(target, &identity);
        return table_find(&report->models, identity.id);
    }
    while (target[0] == '.' && (target[1] == '/' || target[1] == '.'))
        target += target[1] == '/' ? 2 : target[2] == '/' ? 3 : 2;
    unsigned searched = 0;
    for (const struct edge *edge = declared->model->edges; edge && target[0] != '\0' && searched < CHILDREN_SEARCHED;
         edge = edge->next, searched++)
        if (ends_with(edge->child->key, target))
            return edge->child;
    return NULL;
}

void report_join(struct report *report)
{
    for (size_t i = 0; i < report->declared.count; i++) {
        const struct declared *declared = report->declared.rows[i];
        struct model *child = child_find(report, declared);
        bool is_path = declared->target[0] == '/' || declared->target[0] == '.';
        char id[REPORT_TEXT + 8];
        snprintf(id, sizeof(id), "%s%s", is_path ? "file:" : "hf:", declared->target);
        if (!child)
            child = report_model(report, id);
        if (!child || child == declared->model)
            continue;
        struct edge *edge = report_edge(report, declared->model, child, declared->kind);
        if (!edge)
            continue;
        report_keep_first(&edge->from, declared->from);
        report_keep_first(&edge->field, declared->field);
        report_keep_first(&edge->revision, declared->revision);
        edge->pinned |= declared->pinned;
        edge->is_path = strncmp(child->key, "file:", 5) == 0;
        edge->loaded |= child->loaded;
    }
}
