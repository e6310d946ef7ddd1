/* Inside config*.c only: a walk under way, and how what it finds is reported. */
#ifndef GUARD_CONFIG_REPORT_H
#define GUARD_CONFIG_REPORT_H

#include "config_keys.h"
#include "format.h"
#include "json.h"
#include "symbolic.h"
#include "template.h"

/* Two values that mean something together and stand side by side in any order: a model and its revision, a module and
 * the class in it. Reported when their object ends. */
struct pair {
    const struct config_key
        *row; /* CONFIG_BASE or CONFIG_LIBRARY; with a token the module is a file of the model. NULL: free */
    unsigned depth;
    bool first_there, second_there;
    uint64_t offset;
    char field[LIMIT_FIELD];
    char first[LIMIT_NAME + 8], second[LIMIT_NAME + 8];
};

/* One open object or array. */
struct level {
    uint64_t seen[2];                   /* rows of config_keys met in this object */
    const struct config_key *context;   /* the innermost CONFIG_CONTEXT around it */
    bool context_here;                  /* ...is the key of this very object */
    const struct config_key *inherited; /* what strings in here mean whatever their key */
    const struct config_key *key;       /* what the value that comes next means, or NULL */
    bool merges;                        /* the value that comes next is merged into this object */
    bool pipeline_file;                 /* `key` is the "_class_name" of a pipeline */
    unsigned component;                 /* 1 + elements seen, in a [library, class] array of a pipeline; else 0 */
};

struct config {
    struct scan *scan;
    const char *format; /* "json", "yaml", "ini" or "model-card" */
    unsigned files;
    /* The event at hand, as its reader tells it (json.h). */
    const char *text;
    size_t text_length;
    bool cut;
    uint64_t offset;
    unsigned depth;
    const struct way *way;
    bool alias; /* the value stands elsewhere, where its meaning was not known */
    /* Private to the walk. */
    struct level *levels; /* by depth; 0 is outside the value */
    struct pair *pairs;
    struct template_scan template;
    struct symbolic_scan symbolic;
    const struct config_key *read_on; /* the string at hand is read in pieces as this says, so far without a finding */
    bool said;        /* scan_is() was called */
};

extern const struct config_key config_pair_base, config_pair_library, config_pair_class, config_pair_getter;

/* A walk over the config of this path; files and format are filled in. NULL: no memory, and the scan has failed. */
struct config *config_open(struct scan *scan, const char *name, const char *format);
/* Takes the event whose particulars stand in `config`. */
void config_event(struct config *config, enum json_event event);
/* The text has ended, or failed at `error`. Returns whether it was a config. */
bool config_end(struct config *config, enum json_event last, enum json_error error, int io_error);

/* One for each way to write a config; as config_run(). */
bool config_json_run(struct scan *scan, const struct source *source, const char *name);
bool config_yaml_run(struct scan *scan, const struct source *source, const char *name);
bool config_ini_run(struct scan *scan, const struct source *source, const char *name);

/* All of these report where the walk stands. They do nothing once the scan is stopped. */
void config_is(struct config *config);
/* Another model. `split`: it may be "org/name@revision:function" (kernels, timm). */
void config_report_target(struct config *config, const char *text, bool split);
/* `text` NULL: there is a value, but no string. */
void config_report_code(struct config *config, const char *token, const char *text);
/* The same, and the other repository that a reference may name. */
void config_report_reference(struct config *config, const char *token, const char *text);
void config_report_name(struct config *config, enum effect_kind kind, const char *name, bool arguments_known);
/* The name `name` of `module`. */
void config_report_call_of(struct config *config, enum effect_kind kind, const char *module, const char *name);
/* Code that somebody has registered as `name`: the effect is called "registered:NAME". */
void config_report_registered(struct config *config, const char *name);
/* A revision of this very model. */
void config_report_own_revision(struct config *config, const char *revision);
/* A URL that weights come from. */
void config_report_address(struct config *config, const char *text);
/* An expression that is evaluated: a call of one callable with plain values, or code. */
void config_report_expression(struct config *config, const char *token, const char *text);
/* Only when the path leads out of the model's folder, or its name is none of weights. */
void config_report_shard(struct config *config, const char *path);
/* Only when the path leads out of the model's folder. */
void config_report_path(struct config *config, const char *path, bool absolute_counts);

/* Is `text` "a.b" or longer, of Python identifiers? */
bool config_dotted_name(const char *text);

/* Keeps the text at hand as one half of the pair of the object at hand. A half that is there already is a duplicate
 * key: that reading is reported first. Without room the first half stands alone: no revision is the worse reading. */
void config_pair_put(struct config *config, const struct config_key *row, bool second);
/* Reports and frees the pairs of objects deeper than `depth`. */
void config_pairs_end(struct config *config, unsigned depth);

#endif
