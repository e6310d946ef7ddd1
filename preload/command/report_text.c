/* The report for a terminal: a tree like `cargo tree`, and what to look at. */
#define _GNU_SOURCE
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* How deep the tree is drawn. Real chains have five models; a hostile log may have any. */
#define TREE_DEPTH 32

struct tree {
    const struct report *report;
    FILE *out;
    bool colour;
    bool last[TREE_DEPTH + 1]; /* by depth: nothing further hangs there */
};

static void paint(const struct tree *tree, const char *code)
{
    if (tree->colour)
        fputs(code, tree->out);
}

static void print_size(FILE *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double size = (double)bytes;
    unsigned unit = 0;

    for (; size >= 999.5 && unit < 4; unit++)
        size /= 1000;
    fprintf(out, unit == 0 || size >= 99.5 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

static void indent(const struct tree *tree, unsigned depth)
{
    for (unsigned i = 1; i < depth; i++)
        fputs(tree->last[i] ? "    " : "│   ", tree->out);
    if (depth > 0)
        fputs(tree->last[depth] ? "└── " : "├── ", tree->out);
}

static void print_model(const struct tree *tree, const struct model *model)
{
    static const char *const colours[] = {"\033[1m", "\033[1;33m", "\033[1;31m"};
    FILE *out = tree->out;

    paint(tree, colours[model->decision]);
    command_print_visible(out, model->key);
    paint(tree, "\033[0m");
    if (model->revision) {
        fputs(" @", out);
        command_print_visible(out, strlen(model->revision) == 40 ? strndupa(model->revision, 8) : model->revision);
    }
    if (model->loaded) {
        fprintf(out, "  %zu file%s, ", model->file_count, model->file_count == 1 ? "" : "s");
        print_size(out, model->bytes);
    } else {
        fputs("  never loaded", out);
    }
    if (model->decision != DECISION_ALLOW)
        fprintf(out, "  %s",
                model->decision != DECISION_DENY ? "warned of"
                : tree->report->enforced         ? "DENIED"
                                                 : "WOULD BE DENIED");
}

static void print_edge(const struct tree *tree, const struct edge *edge)
{
    FILE *out = tree->out;

    paint(tree, "\033[2m");
    fprintf(out, "  [%s", edge->kind);
    if (edge->from) {
        fputs(strcmp(edge->kind, "observed") == 0 ? ": code of " : " by ", out);
        command_print_visible(out, edge->from);
    }
    if (edge->field) {
        fputs(": ", out);
        command_print_visible(out, edge->field);
    }
    if (strcmp(edge->kind, "declared") == 0 && !edge->is_path && edge->field)
        fputs(edge->pinned ? ", pinned" : ", not pinned", out);
    fputc(']', out);
    paint(tree, "\033[0m");
}

static size_t edges_count(const struct model *model)
{
    size_t count = 0;

    for (const struct edge *edge = model->edges; edge; edge = edge->next)
        count++;
    return count;
}

/* The edges of a model in the order in which they were seen. */
static const struct edge **edges_order(const struct model *model, size_t count)
{
    const struct edge **order = command_memory(count * sizeof(const struct edge *));

    for (const struct edge *edge = model->edges; edge; edge = edge->next)
        order[--count] = edge;
    return order;
}

static void draw(struct tree *tree, struct model *model, const struct edge *by, unsigned depth)
{
    size_t count = edges_count(model);

    indent(tree, depth);
    print_model(tree, model);
    if (by)
        print_edge(tree, by);
    if (model->drawn && count > 0) {
        fputs(" (*)\n", tree->out);
        return;
    }
    model->drawn = true;
    fputs(depth == TREE_DEPTH && count > 0 ? " ...\n" : "\n", tree->out);
    if (depth == TREE_DEPTH)
        return;
    const struct edge **order = edges_order(model, count);
    for (size_t i = 0; i < count; i++) {
        tree->last[depth + 1] = i + 1 == count;
        draw(tree, order[i]->child, order[i], depth + 1);
    }
    free(order);
}

/* A program or library, and the models that it asked for itself. */
static bool is_root(const struct model *model)
{
    return model->loaded && !model->led_to;
}

struct caller {
    char *key; /* by whom, and its name */
    struct model *first, **end; /* what it asked for, in the order in which it was seen */
};

static void callers_find(const struct table *models, struct table *callers)
{
    callers->most = models->count;
    for (size_t i = 0; i < models->count; i++) {
        struct model *model = models->rows[i];
        char key[REPORT_TEXT + 8];
        if (!is_root(model))
            continue;
        snprintf(key, sizeof(key), "%d%s", (int)model->asked.by, model->asked.name ? model->asked.name : "");
        struct caller *caller = table_row(callers, key, sizeof(*caller));
        if (!caller->end)
            caller->end = &caller->first;
        *caller->end = model;
        caller->end = &model->next_asked;
    }
}

static void print_asker(const struct tree *tree, const struct asked *asked)
{
    FILE *out = tree->out;

    if (asked->by == ASKED_LIBRARY)
        fputs("library ", out);
    command_print_visible(out, asked->name ? asked->name : "not known who asked");
    if (asked->file) {
        fputs("  (", out);
        command_print_visible(out, asked->file);
        fprintf(out, ":%lld)", (long long)asked->line);
    }
    fputc('\n', out);
}

static void draw_roots(struct tree *tree)
{
    const struct table *models = &tree->report->models;
    struct table callers = {0};

    callers_find(models, &callers);
    for (size_t i = 0; i < callers.count; i++) {
        struct model *model = ((const struct caller *)callers.rows[i])->first;
        while (model && model->drawn)
            model = model->next_asked;
        if (model)
            print_asker(tree, &model->asked);
        for (; model; model = model->next_asked) {
            tree->last[1] = model->next_asked == NULL;
            draw(tree, model, NULL, 1);
        }
    }
    table_free(&callers);
    /* Circles, which no root leads to. */
    for (size_t i = 0; i < models->count; i++) {
        struct model *model = models->rows[i];
        if (!model->drawn && model->loaded)
            draw(tree, model, NULL, 0);
    }
}

struct findings {
    const struct tree *tree;
    bool any;
};

static void print_finding(void *context, enum level level, const char *kind, const struct model *model,
                          const char *text, int64_t stack)
{
    static const char *const colours[] = {"\033[36m", "\033[33m", "\033[31m"};
    struct findings *findings = context;
    FILE *out = findings->tree->out;

    (void)stack;
    fputs(findings->any ? "" : "\n", out);
    findings->any = true;
    paint(findings->tree, colours[level]);
    fputs(level_name(level), out);
    paint(findings->tree, "\033[0m");
    fprintf(out, "  %s", kind);
    if (model) {
        fputs("  ", out);
        command_print_visible(out, model->key);
    }
    fputs("\n      ", out);
    command_print_visible(out, text);
    fputc('\n', out);
}

static void print_omitted(FILE *out, const char *what, uint64_t count)
{
    if (count > 0)
        fprintf(out, "Left out: %llu %s beyond what a report keeps.\n", (unsigned long long)count, what);
}

void report_text(const struct report *report, FILE *out)
{
    struct tree tree = {.report = report, .out = out, .colour = command_colour(out)};
    struct findings findings = {&tree, false};

    draw_roots(&tree);
    report_findings(report, print_finding, &findings);
    fprintf(out, "%s%zu model%s, %zu file%s, %zu process%s, %llu record%s: %llu %sdenied, %llu warned of\n",
            report->models.count > 0 ? "\n" : "", report->models.count, report->models.count == 1 ? "" : "s",
            report->files.count, report->files.count == 1 ? "" : "s", report->processes.count,
            report->processes.count == 1 ? "" : "es", (unsigned long long)report->totals.records,
            report->totals.records == 1 ? "" : "s", (unsigned long long)report->denials,
            report->enforced || report->denials == 0 ? "" : "would be ", (unsigned long long)report->warnings);
    print_omitted(out, "models", report->models.omitted);
    print_omitted(out, "opens of files", report->files.omitted);
    print_omitted(out, "edges", report->edges.omitted + report->declared.omitted);
    print_omitted(out, "events", report->events.omitted);
}
