/* What a person should look at: what was declared, asked for and opened, held against each other. */
#define _GNU_SOURCE
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct telling {
    void (*tell)(void *context, enum level level, const char *kind, const struct model *model, const char *text,
                 int64_t stack);
    void *context;
};

static void tell(const struct telling *to, enum level level, const char *kind, const struct model *model, int64_t stack,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));
static void tell(const struct telling *to, enum level level, const char *kind, const struct model *model, int64_t stack,
                 const char *format, ...)
{
    char *text;
    va_list list;

    va_start(list, format);
    if (vasprintf(&text, format, list) < 0)
        exit(command_error(EXIT_USAGE, "report", "out of memory"));
    va_end(list);
    to->tell(to->context, level, kind, model, text, stack);
    free(text);
}

const char *level_name(enum level level)
{
    static const char *const names[] = {"info", "warn", "deny"};

    return names[level];
}

const char *asked_name(enum asked_by by)
{
    static const char *const names[] = {NULL, "app", "library", "unknown"};

    return names[by];
}

static void tell_files(const struct report *report, const struct telling *to)
{
    for (size_t i = 0; i < report->files.count; i++) {
        const struct file *file = report->files.rows[i];
        if (file->decision != DECISION_ALLOW)
            tell(to, file->decision == DECISION_DENY ? LEVEL_DENY : LEVEL_WARN,
                 file->decision == DECISION_DENY ? "denied" : "warned-of", file->model, file->stack, "%s: %s [%s]",
                 file->inside, file->why ? file->why : "", file->rule ? file->rule : "");
    }
}

/* Has the file's own row said it? */
static bool said_by_file(const struct report *report, const struct event *event)
{
    char *key;

    if (!event->model || !event->path)
        return false;
    const char *slash = strrchr(event->path, '/');
    struct model_identity identity;
    model_identify(event->path, &identity);
    if (asprintf(&key, "%s\n%s", event->model->key,
                 identity.id[0] ? identity.inside
                 : slash        ? slash + 1
                                : event->path) < 0)
        exit(command_error(EXIT_USAGE, "report", "out of memory"));
    const struct file *file = table_find(&report->files, key);
    free(key);
    return file && file->rule && event->rule && strcmp(file->rule, event->rule) == 0;
}

static void tell_events(const struct report *report, const struct telling *to)
{
    for (size_t i = 0; i < report->events.count; i++) {
        const struct event *event = report->events.rows[i];
        if (said_by_file(report, event))
            continue;
        enum level level = event->decision == DECISION_DENY ? LEVEL_DENY : LEVEL_WARN;
        tell(to, level, event->event, event->model, event->stack, "%s%s%s%s%s%s%s%s%s%s", event->event,
             event->name ? " " : "", event->name ? event->name : "", event->arguments ? "(" : "",
             event->arguments ? event->arguments : "", event->arguments ? ")" : "", event->why ? ": " : "",
             event->why ? event->why : "", event->rule ? " by rule " : "", event->rule ? event->rule : "");
    }
}

/* A model that no other one led to, and that the application does not name. */
static void tell_asked(const struct model *model, const struct telling *to)
{
    const struct asked *asked = &model->asked;
    bool by_library = asked->named_by && strcmp(asked->named_by, "library") == 0;

    if (!model->loaded || model->led_to || (asked->named_by && !by_library))
        return;
    if (by_library)
        tell(to, LEVEL_WARN, "hard-coded", model, -1,
             "a library's hard-coded dependency: %s:%lld names it, and neither the application nor a config "
             "asks for it",
             asked->named_file ? asked->named_file : "?", (long long)asked->named_line);
    else if (asked->other_library)
        tell(to, LEVEL_WARN, "hidden-load", model, -1,
             "a hidden load: %s asks for it (%s:%lld), and neither the application nor a config names it",
             asked->name ? asked->name : "?", asked->file ? asked->file : "?", (long long)asked->line);
}

static bool is_third_party(const char *revision)
{
    return revision && strncmp(revision, "refs/pr/", 8) == 0;
}

static void tell_models(const struct report *report, const struct telling *to)
{
    for (size_t i = 0; i < report->models.count; i++) {
        const struct model *model = report->models.rows[i];
        tell_asked(model, to);
        if (is_third_party(model->ref))
            tell(to, LEVEL_WARN, "third-party-revision", model, -1,
                 "%s is a pull request: anybody can have written what it holds", model->ref);
    }
}

static void tell_edge(const struct report *report, const struct edge *edge, const struct telling *to)
{
    bool declared = strcmp(edge->kind, "declared") == 0;
    char key[2 * REPORT_TEXT + 32];

    if (strcmp(edge->kind, "pickled") == 0)
        tell(to, LEVEL_WARN, "pickled-load", edge->parent, -1, "a pickle (%s) %s %s", edge->from ? edge->from : "?",
             edge->loaded ? "loaded" : "would load", edge->child->key);
    if (strcmp(edge->kind, "observed") == 0) {
        snprintf(key, sizeof(key), "%s\n%s\ndeclared", edge->parent->key, edge->child->key);
        if (!table_find(&report->edges, key))
            tell(to, LEVEL_WARN, "hidden-load", edge->child, -1,
                 "a hidden load: code of %s asks for it, and no config names it", edge->parent->key);
    }
    if (!declared)
        return;
    if (is_third_party(edge->revision))
        tell(to, LEVEL_WARN, "third-party-revision", edge->child, -1,
             "%s of %s names %s of it: a pull request, which anybody can have written", edge->from ? edge->from : "?",
             edge->parent->key, edge->revision);
    else if (!edge->pinned && !edge->is_path && edge->field)
        tell(to, LEVEL_WARN, "unpinned", edge->child, -1,
             "named by %s of %s (%s) without a commit: whoever can push to it changes what is loaded",
             edge->from ? edge->from : "?", edge->parent->key, edge->field);
    if (!edge->loaded)
        tell(to, LEVEL_INFO, "not-loaded", edge->child, -1, "named by %s of %s%s%s%s and never loaded",
             edge->from ? edge->from : "?", edge->parent->key, edge->field ? " (" : "", edge->field ? edge->field : "",
             edge->field ? ")" : "");
}

static void tell_edges(const struct report *report, const struct telling *to)
{
    for (size_t i = 0; i < report->edges.count; i++)
        tell_edge(report, report->edges.rows[i], to);
}

static void tell_late(const struct report *report, const struct telling *to)
{
    for (size_t i = 0; i < report->processes.count; i++) {
        const struct process *process = report->processes.rows[i];
        if (process->late > 0)
            tell(to, LEVEL_INFO, "late-load", NULL, -1,
                 "process %lld loaded %llu file%s after its first batch of loads, while serving",
                 (long long)process->pid, (unsigned long long)process->late, process->late == 1 ? "" : "s");
    }
}

/* Denials first. */
void report_findings(const struct report *report,
                     void (*told)(void *context, enum level level, const char *kind, const struct model *model,
                                  const char *text, int64_t stack),
                     void *context)
{
    struct telling to = {told, context};

    tell_files(report, &to);
    tell_events(report, &to);
    tell_models(report, &to);
    tell_edges(report, &to);
    tell_late(report, &to);
}
