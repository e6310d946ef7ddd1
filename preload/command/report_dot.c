/* The graph for Graphviz. */
#include "report.h"

#include <string.h>

/* A quoted DOT string: only the quote and the backslash are special in it; lines and controls are left out. */
static void quote(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            fputc('\\', out);
        fputc(*at < 0x20 || *at == 0x7f ? '?' : *at, out);
    }
    fputc('"', out);
}

/* "app:NAME" or "library:NAME": what asked. */
static void asker(FILE *out, const struct asked *asked)
{
    char name[REPORT_TEXT + 16];

    snprintf(name, sizeof(name), "%s:%s", asked_name(asked->by), asked->name ? asked->name : "");
    quote(out, name);
}

void report_dot(const struct report *report, FILE *out)
{
    static const char *const colours[] = {"#2f855a", "#b7791f", "#c53030"};

    fputs("digraph guard {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n", out);
    for (size_t i = 0; i < report->models.count; i++) {
        const struct model *model = report->models.rows[i];
        fputs("  ", out);
        quote(out, model->key);
        fprintf(out, " [color=\"%s\"%s];\n", colours[model->decision],
                model->loaded ? "" : ", style=\"rounded,dashed\"");
        if (!model->loaded || model->led_to || model->asked.by == ASKED_NOBODY)
            continue;
        fputs("  ", out);
        asker(out, &model->asked);
        fputs(" -> ", out);
        quote(out, model->key);
        fputs(" [label=\"asked\"];\n", out);
    }
    for (size_t i = 0; i < report->edges.count; i++) {
        const struct edge *edge = report->edges.rows[i];
        fputs("  ", out);
        quote(out, edge->parent->key);
        fputs(" -> ", out);
        quote(out, edge->child->key);
        fputs(" [label=", out);
        quote(out, edge->kind);
        fputs(edge->loaded ? "];\n" : ", style=dashed];\n", out);
    }
    fputs("}\n", out);
}
