/* What guard report makes of records: the graph of a run. report_*.c alone. */
#ifndef GUARD_REPORT_H
#define GUARD_REPORT_H

#include "command.h"
#include "log_read.h"
#include "report_table.h"

#include <stdbool.h>

/* Kept of a run; what is more is counted and said. A machine that loads 2000 models from 50000 files is a
 * hub's mirror. */
#define REPORT_MODELS 20000
#define REPORT_FILES 50000
#define REPORT_EDGES 50000
#define REPORT_EVENTS 5000
#define REPORT_PROCESSES 2000
#define REPORT_STACKS 2000
#define REPORT_TEXT 4096 /* bytes of one text; record.h cuts lines at 32768 */

enum asked_by { ASKED_NOBODY, ASKED_APP, ASKED_LIBRARY, ASKED_UNKNOWN };
const char *asked_name(enum asked_by by); /* "app", "library", "unknown"; NULL for NOBODY */

/* Who asked for a model that no other model led to. */
struct asked {
    enum asked_by by;
    char *name; /* the script, or the installed package */
    char *file; /* and where in it */
    int64_t line;
    char *named_by, *named_file; /* where the model's name is written down: naming.h */
    int64_t named_line;
    bool other_library; /* a package asks that is no loader of what its callers name */
};

struct model {
    char *key; /* its id */
    char *revision, *ref; /* the last seen, and the one asked for by name */
    bool loaded, led_to;  /* a file of it was opened; some model led to it */
    bool drawn;           /* report_text.c: its edges stand further up */
    enum decision decision;
    double first;
    struct asked asked;
    size_t file_count;
    uint64_t bytes, loads;
    struct edge *edges; /* to the models that it leads to, the latest first */
    struct model *next_asked; /* report_text.c: what the same caller asked for next */
};

/* Further names and paths of a file that are kept. */
#define FILE_NAMES 4
struct file {
    char *key; /* "MODEL\nINSIDE" */
    struct model *model;
    char *inside, *path, *real, *format, *sha256, *rule, *why, *from;
    char *names[FILE_NAMES]; /* other names in the model for the same content */
    char *copies[FILE_NAMES]; /* other paths: transformers copies a model's code, and each machine has its own cache */
    size_t name_count, copy_count;
    struct file *same;       /* the file of another model that this one is a link to */
    int64_t size;
    enum decision decision;
    uint64_t loads;
    double first;
    int64_t stack; /* index of who asked, -1: not kept */
};

struct edge {
    char *key; /* "PARENT\nCHILD\nKIND" */
    struct model *parent, *child;
    char *kind, *from, *field, *revision;
    bool pinned, is_path, loaded;
    struct edge *next; /* of the same parent */
};

/* What a config or a pickle names, before it is known which model that is. */
struct declared {
    char *key; /* "MODEL\nTARGET\nFIELD" */
    struct model *model;
    char *target, *from, *path, *kind, *field, *revision;
    bool pinned;
};

/* What was judged besides loads. */
struct event {
    char *key;
    char *event, *rule, *severity, *name, *arguments, *path, *why, *origin;
    struct model *model;
    enum decision decision;
    uint64_t count;
    double first;
    int64_t stack;
};

struct process {
    char *key; /* "LOG\nPID" and how many programs ran as that before */
    char *program, *mode;
    int64_t pid;
    double start, first_load, loaded, last; /* 0: not seen. `loaded`: the end of the first batch of loads */
    uint64_t loads, denials, late;          /* `late`: loads after that batch, while serving */
    size_t number;                          /* its row */
};

struct stack {
    char *key; /* the record's "by", as JSON */
    int64_t number; /* its row, from 1 */
};

/* A dot on the timeline. */
#define REPORT_DOTS 4000
struct dot {
    double time;
    size_t process;
    const struct file *file;
    enum decision decision;
};

struct report {
    struct table models, files, reals, edges, declared, events, processes, stacks, programs;
    struct dot dots[REPORT_DOTS];
    size_t dot_count;
    uint64_t dots_omitted;
    struct log_totals totals;
    double first, last;
    uint64_t denials, warnings; /* records that deny or warn */
    bool enforced; /* some of the denials were made in enforce mode; else what was denied was loaded all the same */
    const struct policy *policy;
    size_t log_count;
};

/* An empty one; `policy` says who is a loader, and stays the caller's. */
struct report *report_new(const struct policy *policy);
void report_free(struct report *report);

/* Takes in one line of a log: for log_read(). */
void report_take(void *report, const struct log_line *line);
/* Which model each declared name means; once all lines are in. */
void report_join(struct report *report);

/* What a person should look at. */
enum level { LEVEL_INFO, LEVEL_WARN, LEVEL_DENY };
const char *level_name(enum level level);
void report_findings(const struct report *report,
                     void (*tell)(void *context, enum level level, const char *kind, const struct model *model,
                                  const char *text, int64_t stack),
                     void *context);

/* The forms. Each writes the whole report; errors show in the stream. */
void report_json(const struct report *report, FILE *out);
void report_text(const struct report *report, FILE *out);
void report_dot(const struct report *report, FILE *out);
void report_html(const struct report *report, FILE *out);

/* Writes a JSON string (no `<`, `>` or `&` in it, so that it may stand in a page) or null. */
void report_json_text(FILE *out, const char *text);
/* Seconds since 1970 as RFC 3339; "null" for 0. */
void report_json_time(FILE *out, double time);

#endif
