/* Inside config*.c only: a walk under way, and how what it finds is reported. */
#ifndef GUARD_CONFIG_REPORT_H
#define GUARD_CONFIG_REPORT_H

#include "config_keys.h"
#include "format.h"
#include "json.h"
#include "template.h"

#define CONFIG_FORMAT "json"

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
    uint64_t seen;                      /* rows of config_keys met in this object */
    const struct config_key *inherited; /* what strings in here mean whatever their key */
    const struct config_key *key;       /* what the value that comes next means, or NULL */
    bool pipeline_file;                 /* `key` is the "_class_name" of a pipeline */
    unsigned component;                 /* 1 + elements seen, in a [library, class] array of a pipeline; else 0 */
};

struct config {
    struct scan *scan;
    struct json json;
    unsigned files;
    struct level *levels; /* by depth; 0 is outside the value */
    struct pair *pairs;
    struct template_scan template;
    bool in_template; /* the string at hand is a template, so far without a finding */
    bool said;        /* scan_is() was called */
};

extern const struct config_key config_pair_base, config_pair_library, config_pair_class;

/* All of these report where json stands. They do nothing once the scan is stopped. */
void config_is(struct config *config);
/* Another model. `split`: it may be "org/name@revision:function" (kernels, timm). */
void config_report_target(struct config *config, const char *text, bool split);
/* `text` NULL: there is a value, but no string. */
void config_report_code(struct config *config, const char *token, const char *text);
/* The same, and the other repository that a reference may name. */
void config_report_reference(struct config *config, const char *token, const char *text);
void config_report_name(struct config *config, enum effect_kind kind, const char *name, bool arguments_known);
/* Only when the path leads out of the model's folder. */
void config_report_path(struct config *config, const char *path, bool absolute_counts);

/* Keeps json's text as one half of the pair of the object at hand. A half that is there already is a duplicate key:
 * that reading is reported first. Without room the first half stands alone: no revision is the worse reading. */
void config_pair_put(struct config *config, const struct config_key *row, bool second);
/* Reports and frees the pairs of objects deeper than `depth`. */
void config_pairs_end(struct config *config, unsigned depth);

#endif
