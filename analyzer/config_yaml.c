/* Configs in YAML: hydra, NeMo, speechbrain, pyannote, MLflow, model cards. Tags are what loaders act on
 * besides keys. */
#include "config_report.h"
#include "yaml.h"

#include <string.h>

#define TUPLE_SIZE 4096u /* the longest "(...)" that is looked into */

struct yaml_config {
    struct config *config;
    struct yaml yaml;
    char *tuple; /* what has come of a text in round brackets */
    size_t tuple_length;
    bool tuple_tag, in_tuple;
};

static void event_show(struct config *config, const struct yaml *yaml)
{
    config->text = yaml->text;
    config->text_length = yaml->text_length;
    config->cut = yaml->cut;
    config->offset = yaml->offset;
    config->depth = yaml->depth;
    config->way = &yaml->way;
    config->alias = yaml->alias;
}

/* PyYAML's constructor.py and hyperpyyaml's core.py: what a tag makes an unsafe loader do. Names without a module are
 * built in, for both. */
static void tag_read(struct config *config, const char *tag)
{
    static const struct {
        const char *prefix;
        enum effect_kind kind;
        bool module;
    } tags[] = {
        {"tag:yaml.org,2002:python/object/apply:", EFFECT_CALL, false},
        {"tag:yaml.org,2002:python/object/new:", EFFECT_CREATE, false},
        {"tag:yaml.org,2002:python/object:", EFFECT_CREATE, false},
        {"tag:yaml.org,2002:python/name:", EFFECT_IMPORT, false},
        {"tag:yaml.org,2002:python/module:", EFFECT_IMPORT, true},
        {"!new:", EFFECT_CALL, false},
        {"!apply:", EFFECT_CALL, false},
        {"!applyref:", EFFECT_CALL, false},
        {"!name:", EFFECT_IMPORT, false},
        {"!module:", EFFECT_IMPORT, true},
    };
    static const char include[] = "!include:";

    for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
        size_t length = strlen(tags[i].prefix);
        const char *name = tag + length;
        if (strncmp(tag, tags[i].prefix, length) != 0)
            continue;
        if (tags[i].module || strchr(name, '.'))
            config_report_name(config, tags[i].kind, name, false);
        else
            config_report_call_of(config, tags[i].kind, "builtins", name);
        return;
    }
    if (strncmp(tag, include, sizeof(include) - 1) == 0)
        config_report_path(config, tag + sizeof(include) - 1, true);
}

/* hyperpyyaml reads a text in round brackets as a YAML list again, with a loader that heeds every tag. */
static void tuple_run(struct yaml_config *walk)
{
    struct scan *scan = walk->config->scan;
    struct arena_mark mark = arena_mark(scan->arena);
    struct source_memory memory = {(const unsigned char *)walk->tuple, walk->tuple_length};
    struct source source = source_from_memory(&memory);
    struct yaml *inner = arena_take(scan->arena, sizeof(*inner));
    enum json_event event;

    if (!inner || !yaml_open(inner, scan->arena, &source)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return;
    }
    while ((event = yaml_next(inner)) != JSON_FAILED && event != JSON_FINISHED && !scan->stopped)
        if (event == JSON_TAG)
            tag_read(walk->config, inner->text);
    arena_release(scan->arena, mark);
}

static void tuple_part(struct yaml_config *walk)
{
    const struct yaml *yaml = &walk->yaml;
    size_t room = TUPLE_SIZE - walk->tuple_length;
    bool over = yaml->text_length > room;

    memcpy(walk->tuple + walk->tuple_length, yaml->text, over ? room : yaml->text_length);
    walk->tuple_length += over ? room : yaml->text_length;
    if (yaml->in_text && !over)
        return;
    walk->in_tuple = false;
    if (!memchr(walk->tuple, '!', walk->tuple_length))
        return;
    if (!over && walk->tuple[walk->tuple_length - 1] != ')')
        return;
    walk->tuple[0] = '[';
    walk->tuple[walk->tuple_length - 1] = ']';
    tuple_run(walk);
    if (over) {
        config_is(walk->config);
        scan_opaque(walk->config->scan, walk->config->format, "yaml-tuple", yaml->offset,
                    "a text that is read as YAML again");
    }
}

/* Texts that mean something wherever they stand. */
static void text_read(struct yaml_config *walk)
{
    struct yaml *yaml = &walk->yaml;

    if (strncmp(yaml->text, "nemo:", 5) == 0)
        config_report_path(walk->config, yaml->text + 5, true);
    if (strstr(yaml->text, "${oc.env:") || strstr(yaml->text, "${oc.decode:"))
        config_report_code(walk->config, "config-resolver", yaml->text);
    if (yaml->text[0] == '(' && (yaml->plain || walk->tuple_tag)) {
        walk->in_tuple = true;
        walk->tuple_length = 0;
        tuple_part(walk);
    }
}

static void event_read(struct yaml_config *walk, enum json_event event)
{
    struct config *config = walk->config;

    event_show(config, &walk->yaml);
    if (event == JSON_TAG)
        tag_read(config, walk->yaml.text);
    else if (event == JSON_STRING)
        text_read(walk);
    else if (event == JSON_STRING_MORE && walk->in_tuple)
        tuple_part(walk);
    walk->tuple_tag = event == JSON_TAG && strcmp(walk->yaml.text, "!tuple") == 0;
    config_event(config, event);
}

bool config_yaml_run(struct scan *scan, const struct source *source, const char *name)
{
    bool card = config_files(name) & CONFIG_FILE_CARD;
    struct config *config = config_open(scan, name, card ? "model-card" : "yaml");
    struct yaml_config *walk = config ? arena_take(scan->arena, sizeof(*walk)) : NULL;
    enum json_event event;
    bool any = false;

    if (walk)
        walk->tuple = arena_take(scan->arena, TUPLE_SIZE);
    if (!walk || !walk->tuple ||
        !(card ? yaml_open_front_matter : yaml_open)(&walk->yaml, scan->arena, source)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    walk->config = config;
    if (!card && walk->yaml.wide) {
        config_is(config);
        scan_opaque(scan, config->format, "yaml-encoding", 0, "UTF-16, which some loaders read and no author writes");
        return true;
    }
    while ((event = yaml_next(&walk->yaml)) != JSON_FAILED && event != JSON_FINISHED && !scan->stopped) {
        any = any || event == JSON_OBJECT;
        event_read(walk, event);
    }
    event_show(config, &walk->yaml);
    if (walk->yaml.crowded && !scan->stopped) {
        config_is(config);
        scan_malformed(scan, config->format, "yaml-anchors", 0, "more anchors than any config has");
    }
    /* Text without a single key is no config. */
    return config_end(config, any ? event : JSON_FAILED, walk->yaml.error, walk->yaml.reader.error);
}
