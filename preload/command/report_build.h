/* How a report is put together; for report_take.c, report_rows.c, report_asked.c and report_join.c. */
#ifndef GUARD_REPORT_BUILD_H
#define GUARD_REPORT_BUILD_H

#include "report.h"

/* A malloc'd copy, cut at REPORT_TEXT; NULL stays NULL. */
char *report_keep(const char *text);
/* The same, unless there is one. */
void report_keep_first(char **kept, const char *text);

/* Adds a copy of `text` to the FILE_NAMES that are kept, once. */
void report_add(char **kept, size_t *count, const char *text);

/* The row of each, made where there is none; NULL when the table is full. */
struct model *report_model(struct report *report, const char *id);
/* `kind`: what a record calls it; the three that there are come out. */
struct edge *report_edge(struct report *report, struct model *parent, struct model *child, const char *kind);
/* `real`: what the kernel calls it. A further link within the model to a file that is there already is a name of that
 * one. */
struct file *report_file(struct report *report, struct model *model, const char *inside, const char *real);
/* The number of the record's stacks among those kept; -1: it has none, or there is no room. */
int64_t report_stack(struct report *report, const cJSON *object);

/* Adds what a record of a load tells about who asked for the model. */
void report_asked(const struct report *report, struct asked *asked, const cJSON *object);

/* Keeps what the file `inside` of `model` names. */
void report_declared(struct report *report, const struct log_line *line, struct model *model, const char *inside);

#endif
