/* From records to the graph: everything is added up as it is read. */
#define _GNU_SOURCE
#include "report_build.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double time_read(const char *text)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    double time = rest ? (double)timegm(&tm) : 0, part = 0.1;

    if (rest && *rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, part /= 10)
            time += part * (*rest - '0');
    return time;
}

static enum decision decision_read(const char *text)
{
    return strcmp(text, "deny") == 0 ? DECISION_DENY : strcmp(text, "warn") == 0 ? DECISION_WARN : DECISION_ALLOW;
}

static void file_take(struct report *report, struct file *file, const struct log_line *line, enum decision decision,
                      double time)
{
    const cJSON *object = line->object;
    bool worse = decision > file->decision;

    if (file->loads++ == 0) {
        file->model->file_count++;
        file->first = time;
        file->size = log_number(object, "size", 0);
        file->model->bytes += file->size > 0 ? (uint64_t)file->size : 0;
    }
    const char *path = log_text(object, "path");
    if (path && file->path && strcmp(path, file->path) != 0)
        report_add(file->copies, &file->copy_count, path);
    report_keep_first(&file->path, path);
    report_keep_first(&file->real, log_text(object, "real"));
    report_keep_first(&file->format, log_text(object, "format"));
    report_keep_first(&file->sha256, log_text(object, "sha256"));
    report_keep_first(&file->from, log_text(object, "from"));
    if (file->stack < 0 || worse)
        file->stack = report_stack(report, object);
    if (!worse)
        return;
    file->decision = decision;
    free(file->rule);
    free(file->why);
    file->rule = report_keep(log_text(object, "rule"));
    file->why = report_keep(log_text(object, "why"));
}

static struct process *process_row(struct report *report, const struct log_line *line, double time)
{
    struct programs {
        char *key;
        unsigned count;
    } *programs;
    const cJSON *object = line->object;
    int64_t pid = log_number(object, "pid", 0);
    char key[REPORT_TEXT + 64];

    snprintf(key, sizeof(key), "%.*s\n%lld", REPORT_TEXT, line->file, (long long)pid);
    programs = table_row(&report->programs, key, sizeof(*programs));
    if (!programs)
        return NULL;
    if (strcmp(log_text(object, "event"), "start") == 0)
        programs->count++;
    snprintf(key + strlen(key), 24, "\n%u", programs->count);
    struct process *process = table_row(&report->processes, key, sizeof(*process));
    if (!process)
        return NULL;
    if (!process->mode)
        process->number = report->processes.count - 1;
    process->pid = pid;
    report_keep_first(&process->mode, log_text(object, "mode"));
    if (process->start <= 0)
        process->start = time;
    if (time > process->last)
        process->last = time;
    return process;
}

/* The first batch of loads ends where nothing is loaded for longer than all of it took, at the least for this long. */
#define BATCH_SECONDS 5

static void process_load(struct process *process, enum decision decision, double time)
{
    process->loads++;
    process->denials += decision == DECISION_DENY;
    if (process->first_load <= 0) {
        process->first_load = process->loaded = time;
        return;
    }
    double took = process->loaded - process->first_load;
    if (process->late == 0 && time - process->loaded <= (took > BATCH_SECONDS ? took : BATCH_SECONDS))
        process->loaded = time;
    else
        process->late++;
}

static void dot_take(struct report *report, const struct process *process, const struct file *file,
                     enum decision decision, double time)
{
    if (report->dot_count == REPORT_DOTS)
        report->dots_omitted++;
    else
        report->dots[report->dot_count++] = (struct dot){time, process->number, file, decision};
}

static void load_take(struct report *report, const struct log_line *line, struct model *model, const char *inside,
                      enum decision decision, double time, struct process *process)
{
    const cJSON *object = line->object, *identity = cJSON_GetObjectItemCaseSensitive(object, "model");
    const char *parent = log_text(object, "parent"), *edge_kind = log_text(object, "edge"),
               *revision = log_text(identity, "revision");
    const char *real = log_text(object, "real") ? log_text(object, "real") : log_text(object, "path");
    struct file *file = report_file(report, model, inside, real ? real : inside);

    if (!model->loaded)
        model->first = time;
    model->loaded = true;
    model->loads++;
    if (decision > model->decision)
        model->decision = decision;
    if (revision) {
        free(model->revision);
        model->revision = report_keep(revision);
    }
    report_keep_first(&model->ref, log_text(object, "revision"));
    if (file)
        file_take(report, file, line, decision, time);
    if (process)
        process_load(process, decision, time);
    if (process && file)
        dot_take(report, process, file, decision, time);
    if (!parent) {
        report_asked(report, &model->asked, object);
        return;
    }
    struct model *from = strcmp(parent, model->key) != 0 ? report_model(report, parent) : NULL;
    struct edge *edge = from ? report_edge(report, from, model, edge_kind ? edge_kind : "observed") : NULL;
    if (!edge)
        return;
    model->led_to = edge->loaded = true;
    report_keep_first(&edge->from, log_text(object, "from"));
}

static void event_take(struct report *report, const struct log_line *line, struct model *model, enum decision decision,
                       double time)
{
    const cJSON *object = line->object;
    const char *rule = log_text(object, "rule"), *name = log_text(object, "name"), *path = log_text(object, "path");
    char *key;

    if (asprintf(&key, "%s\n%d\n%.999s\n%.999s\n%.999s", log_text(object, "event"), decision, rule ? rule : "",
                 name ? name : "", path ? path : "") < 0)
        exit(command_error(EXIT_USAGE, "report", "out of memory"));
    struct event *event = table_row(&report->events, key, sizeof(*event));
    free(key);
    if (!event)
        return;
    if (event->count++ > 0)
        return;
    event->event = report_keep(log_text(object, "event"));
    event->rule = report_keep(rule);
    event->severity = report_keep(log_text(object, "severity"));
    event->name = report_keep(name);
    event->arguments = report_keep(log_text(object, "args"));
    event->path = report_keep(path);
    event->why = report_keep(log_text(object, "why"));
    event->origin = report_keep(log_text(object, "origin"));
    event->model = model;
    event->decision = decision;
    event->first = time;
    event->stack = decision != DECISION_ALLOW ? report_stack(report, object) : -1;
}

void report_take(void *context, const struct log_line *line)
{
    struct report *report = context;
    const cJSON *object = line->object;
    struct model_identity identity = {0};
    struct model *model = NULL;

    if (line->scan)
        return;
    const char *kind = log_text(object, "event");
    enum decision decision = decision_read(log_text(object, "decision"));
    double time = time_read(log_text(object, "time"));
    if (time > 0 && (report->first <= 0 || time < report->first))
        report->first = time;
    if (time > report->last)
        report->last = time;
    const char *mode = log_text(object, "mode");
    report->denials += decision == DECISION_DENY;
    report->enforced |= decision == DECISION_DENY && !(mode && strcmp(mode, "audit") == 0);
    report->warnings += decision == DECISION_WARN;
    struct process *process = process_row(report, line, time);
    if (process && strcmp(kind, "start") == 0)
        report_keep_first(&process->program, log_text(object, "path"));
    if (strcmp(kind, "start") == 0)
        return;
    if (log_model(line, &identity) && identity.id[0] != '\0' && strncmp(identity.inside, "refs/", 5) != 0)
        model = report_model(report, identity.id);
    if (strcmp(kind, "load") == 0) {
        if (model)
            load_take(report, line, model, identity.inside, decision, time, process);
        return;
    }
    if (model && decision > model->decision)
        model->decision = decision;
    if (model && log_text(object, "edge"))
        report_declared(report, line, model, identity.inside);
    if (decision != DECISION_ALLOW || strcmp(kind, "error") == 0)
        event_take(report, line, model, decision, time);
}
