/* The report for machines, and what the page is drawn from. */
#include "report.h"

#include "../json_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void report_json_text(FILE *out, const char *text)
{
    struct json_out json;

    if (!text) {
        fputs("null", out);
        return;
    }
    size_t size = strlen(text) * 6 + 8;
    char *buffer = command_memory(size);
    json_out_start(&json, buffer, size);
    json_out_string(&json, NULL, text);
    for (const char *at = buffer; *at != '\0'; at++) {
        if (*at == '<' || *at == '>' || *at == '&')
            fprintf(out, "\\u%04x", *at);
        else
            fputc(*at, out);
    }
    free(buffer);
}

void report_json_time(FILE *out, double time)
{
    time_t seconds = (time_t)time;
    struct tm tm;
    char text[32];

    if (time <= 0 || !gmtime_r(&seconds, &tm)) {
        fputs("null", out);
        return;
    }
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(out, "\"%s.%06dZ\"", text, (int)((time - (double)seconds) * 1e6));
}

/* ,"key":"text" */
static void text_member(FILE *out, const char *key, const char *text)
{
    fprintf(out, ",\"%s\":", key);
    report_json_text(out, text);
}

static void time_member(FILE *out, const char *key, double time)
{
    fprintf(out, ",\"%s\":", key);
    report_json_time(out, time);
}

static void flag_member(FILE *out, const char *key, bool flag)
{
    fprintf(out, ",\"%s\":%s", key, flag ? "true" : "false");
}

static void number_member(FILE *out, const char *key, int64_t number, bool known)
{
    if (known)
        fprintf(out, ",\"%s\":%lld", key, (long long)number);
    else
        fprintf(out, ",\"%s\":null", key);
}

static void list_member(FILE *out, const char *key, char *const texts[], size_t count)
{
    fprintf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? "," : "", out);
        report_json_text(out, texts[i]);
    }
    fputc(']', out);
}

static void asked_print(FILE *out, const struct asked *asked)
{
    if (asked->by == ASKED_NOBODY) {
        fputs(",\"asked\":null", out);
        return;
    }
    fputs(",\"asked\":{\"by\":", out);
    report_json_text(out, asked_name(asked->by));
    text_member(out, "name", asked->name);
    text_member(out, "file", asked->file);
    number_member(out, "line", asked->line, asked->file != NULL);
    text_member(out, "named_by", asked->named_by);
    text_member(out, "named_file", asked->named_file);
    number_member(out, "named_line", asked->named_line, asked->named_file != NULL);
    fputc('}', out);
}

static void models_print(FILE *out, const struct report *report)
{
    for (size_t i = 0; i < report->models.count; i++) {
        const struct model *model = report->models.rows[i];
        fputs(i > 0 ? ",\n{\"id\":" : "\n{\"id\":", out);
        report_json_text(out, model->key);
        text_member(out, "revision", model->revision);
        text_member(out, "ref", model->ref);
        flag_member(out, "loaded", model->loaded);
        text_member(out, "decision", decision_name(model->decision));
        time_member(out, "first", model->first);
        number_member(out, "files", (int64_t)model->file_count, true);
        number_member(out, "bytes", (int64_t)model->bytes, true);
        number_member(out, "loads", (int64_t)model->loads, true);
        asked_print(out, &model->asked);
        fputc('}', out);
    }
}

static void files_print(FILE *out, const struct report *report)
{
    bool any = false;

    for (size_t i = 0; i < report->files.count; i++) {
        const struct file *file = report->files.rows[i];
        if (file->loads == 0)
            continue;
        fputs(any ? ",\n{\"model\":" : "\n{\"model\":", out);
        any = true;
        report_json_text(out, file->model->key);
        text_member(out, "inside", file->inside);
        list_member(out, "names", file->names, file->name_count);
        list_member(out, "copies", file->copies, file->copy_count);
        text_member(out, "path", file->path);
        text_member(out, "real", file->real);
        text_member(out, "format", file->format);
        number_member(out, "size", file->size, true);
        text_member(out, "sha256", file->sha256);
        text_member(out, "decision", decision_name(file->decision));
        text_member(out, "rule", file->rule);
        text_member(out, "why", file->why);
        text_member(out, "from", file->from);
        text_member(out, "same_model", file->same ? file->same->model->key : NULL);
        text_member(out, "same_inside", file->same ? file->same->inside : NULL);
        number_member(out, "loads", (int64_t)file->loads, true);
        time_member(out, "first", file->first);
        number_member(out, "stack", file->stack, file->stack >= 0);
        fputc('}', out);
    }
}

static void edges_print(FILE *out, const struct report *report)
{
    for (size_t i = 0; i < report->edges.count; i++) {
        const struct edge *edge = report->edges.rows[i];
        fputs(i > 0 ? ",\n{\"parent\":" : "\n{\"parent\":", out);
        report_json_text(out, edge->parent->key);
        text_member(out, "child", edge->child->key);
        text_member(out, "kind", edge->kind);
        text_member(out, "from", edge->from);
        text_member(out, "field", edge->field);
        text_member(out, "revision", edge->revision);
        flag_member(out, "pinned", edge->pinned);
        flag_member(out, "loaded", edge->loaded);
        fputc('}', out);
    }
}

static void processes_print(FILE *out, const struct report *report)
{
    for (size_t i = 0; i < report->processes.count; i++) {
        const struct process *process = report->processes.rows[i];
        fprintf(out, "%s\n{\"pid\":%lld", i > 0 ? "," : "", (long long)process->pid);
        text_member(out, "program", process->program);
        text_member(out, "mode", process->mode);
        time_member(out, "start", process->start);
        time_member(out, "first_load", process->first_load);
        time_member(out, "loaded", process->loaded);
        time_member(out, "last", process->last);
        number_member(out, "loads", (int64_t)process->loads, true);
        number_member(out, "denials", (int64_t)process->denials, true);
        number_member(out, "late", (int64_t)process->late, true);
        fputc('}', out);
    }
}

/* [seconds since the first record, process, "MODEL", "INSIDE", decision] */
static void dots_print(FILE *out, const struct report *report)
{
    for (size_t i = 0; i < report->dot_count; i++) {
        const struct dot *dot = &report->dots[i];
        fprintf(out, "%s\n[%.6f,%zu,", i > 0 ? "," : "", dot->time - report->first, dot->process);
        report_json_text(out, dot->file->model->key);
        fputc(',', out);
        report_json_text(out, dot->file->inside);
        fprintf(out, ",\"%s\"]", decision_name(dot->decision));
    }
}

struct findings {
    FILE *out;
    bool any;
};

static void finding_print(void *context, enum level level, const char *kind, const struct model *model,
                          const char *text, int64_t stack)
{
    struct findings *findings = context;

    fprintf(findings->out, "%s\n{\"level\":\"%s\"", findings->any ? "," : "", level_name(level));
    text_member(findings->out, "kind", kind);
    text_member(findings->out, "model", model ? model->key : NULL);
    text_member(findings->out, "text", text);
    number_member(findings->out, "stack", stack, stack >= 0);
    fputc('}', findings->out);
    findings->any = true;
}

void report_json(const struct report *report, FILE *out)
{
    const struct log_totals *totals = &report->totals;
    struct findings findings = {out, false};

    fprintf(out, "{\"v\":1,\"guard\":\"%s\",\"logs\":%zu,\"records\":%llu,\"damaged\":%llu,"
                 "\"denials\":%llu,\"warnings\":%llu",
            GUARD_VERSION, report->log_count, (unsigned long long)totals->records, (unsigned long long)totals->damaged,
            (unsigned long long)report->denials, (unsigned long long)report->warnings);
    flag_member(out, "enforced", report->enforced);
    time_member(out, "first", report->first);
    time_member(out, "last", report->last);
    fprintf(out,
            ",\n\"omitted\":{\"models\":%llu,\"files\":%llu,\"edges\":%llu,\"events\":%llu,\"processes\":%llu,"
            "\"loads\":%llu}",
            (unsigned long long)report->models.omitted, (unsigned long long)report->files.omitted,
            (unsigned long long)(report->edges.omitted + report->declared.omitted),
            (unsigned long long)report->events.omitted, (unsigned long long)report->processes.omitted,
            (unsigned long long)report->dots_omitted);
    fputs(",\n\"models\":[", out);
    models_print(out, report);
    fputs("],\n\"files\":[", out);
    files_print(out, report);
    fputs("],\n\"edges\":[", out);
    edges_print(out, report);
    fputs("],\n\"findings\":[", out);
    report_findings(report, finding_print, &findings);
    fputs("],\n\"processes\":[", out);
    processes_print(out, report);
    fputs("],\n\"loads\":[", out);
    dots_print(out, report);
    fputs("],\n\"stacks\":[", out);
    for (size_t i = 0; i < report->stacks.count; i++)
        fprintf(out, "%s\n%s", i > 0 ? "," : "", ((const struct stack *)report->stacks.rows[i])->key);
    fputs("]}\n", out);
}
