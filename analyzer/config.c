#include "config.h"

#include "config_report.h"

#include <string.h>

/* Is `text` "a.b" or longer, of Python identifiers? */
static bool dotted_name(const char *text)
{
    bool dots = false, start = true;

    for (; *text != '\0'; text++) {
        char c = *text;
        if (c == '.') {
            if (start)
                return false;
            dots = start = true;
            continue;
        }
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
        if (!letter && (start || c < '0' || c > '9'))
            return false;
        start = false;
    }
    return dots && !start;
}

static void template_read(struct config *config)
{
    const char *found = template_scan(&config->template, config->json.text, config->json.text_length);

    if (!found)
        return;
    config->in_template = false;
    config_report_code(config, "template-escape", found);
}

static void string_read(struct config *config, const struct config_key *row)
{
    const char *text = config->json.text;

    switch (row->role) {
    case CONFIG_TARGET:
        config_report_target(config, text, false);
        break;
    case CONFIG_HUB_TARGET:
        if (strchr(text, '/') || strchr(text, ':'))
            config_report_target(config, text, true);
        break;
    case CONFIG_BASE:
    case CONFIG_LIBRARY:
        config_pair_put(config, row, false);
        break;
    case CONFIG_REVISION:
        config_pair_put(config, &config_pair_base, true);
        break;
    case CONFIG_CLASS:
        config_pair_put(config, &config_pair_library, true);
        break;
    case CONFIG_CODE:
        config_report_reference(config, row->token, text);
        break;
    case CONFIG_KERNEL:
        if (strchr(text, '/')) {
            config_report_code(config, row->token, text);
            config_report_target(config, text, true);
        }
        break;
    case CONFIG_ATTACK:
        config_report_code(config, row->token, text);
        if (strchr(text, '/'))
            config_report_target(config, text, true);
        break;
    case CONFIG_IMPORT:
        config_report_name(config, EFFECT_IMPORT, text, false);
        break;
    case CONFIG_MODULE_TYPE:
        if (strncmp(text, "sentence_transformers.", 22) != 0)
            config_report_name(config, EFFECT_IMPORT, text, false);
        break;
    case CONFIG_CALL:
        config_report_name(config, EFFECT_CALL, text, false);
        break;
    case CONFIG_ACTIVATION:
        if (dotted_name(text))
            config_report_name(config, EFFECT_CALL, text, true);
        break;
    case CONFIG_PATH:
    case CONFIG_PATH_UP:
        config_report_path(config, text, row->role == CONFIG_PATH);
        break;
    case CONFIG_TEMPLATE:
        config->template = (struct template_scan){0};
        config->in_template = true;
        template_read(config);
        break;
    case CONFIG_PIPELINES:
        break;
    }
}

/* What the value at hand means, in the object or array that it stands in. */
static const struct config_key *value_meaning(struct level *level)
{
    switch (level->component) {
    case 0:
        return level->key;
    case 1:
        level->component++;
        return level->key;
    case 2:
        level->component++;
        return &config_pair_class;
    default:
        return NULL;
    }
}

static void key_read(struct config *config)
{
    struct json *json = &config->json;
    struct level *level = &config->levels[json->depth];
    const struct config_key *row = json->cut ? NULL : config_key_find(json->text, json->text_length, config->files);

    level->key = row;
    level->pipeline_file = json->depth == 1 && json_text_is(json, config_pipeline_file.key);
    if (level->inherited) {
        level->key = level->inherited;
        if (level->inherited->role == CONFIG_PIPELINES && json_text_is(json, config_pipeline_impl.key))
            level->key = &config_pipeline_impl;
        return;
    }
    if (!row || row < config_keys || row >= config_keys + config_keys_count)
        return;
    uint64_t bit = 1ull << (row - config_keys);
    if ((level->seen & bit) && !config->scan->stopped) {
        config_is(config);
        scan_malformed(config->scan, CONFIG_FORMAT, "json-duplicate-key", json->offset,
                       "a key that names a model or code stands twice in one object");
    }
    level->seen |= bit;
}

static void container_read(struct config *config, const struct config_key *row, bool array)
{
    struct json *json = &config->json;
    struct level *level = &config->levels[json->depth], *parent = level - 1;

    if (row && row->role == CONFIG_ATTACK)
        config_report_code(config, row->token, NULL);
    *level = (struct level){.inherited = row && row->inherited ? row : NULL};
    level->key = level->inherited;
    /* pipeline_loading_utils.py: each component of a pipeline is [library, class]; a "_class_name" of that form is a
     * Python file of the model itself. */
    if (array && json->depth == 2 && (config->files & CONFIG_FILE_PIPELINE) && !row) {
        level->component = 1;
        level->key = parent->pipeline_file ? &config_pipeline_file : &config_pair_library;
    }
}

/* Handles one event. */
static void event_read(struct config *config, enum json_event event)
{
    struct json *json = &config->json;
    bool opened = event == JSON_OBJECT || event == JSON_ARRAY;
    const struct config_key *row;

    switch (event) {
    case JSON_KEY:
        key_read(config);
        return;
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        config_pairs_end(config, json->depth);
        return;
    case JSON_STRING_MORE:
        if (config->in_template)
            template_read(config);
        return;
    default:
        break;
    }
    config->in_template = false;
    row = value_meaning(&config->levels[opened ? json->depth - 1 : json->depth]);
    if (opened)
        container_read(config, row, event == JSON_ARRAY);
    else if (row && event == JSON_STRING)
        string_read(config, row);
    else if (row && row->role == CONFIG_ATTACK && event != JSON_NULL && event != JSON_FALSE)
        config_report_code(config, row->token, NULL);
}

static bool path_ends(const char *path, const char *end)
{
    size_t length = path ? strlen(path) : 0, end_length = strlen(end);

    return length > end_length && memcmp(path + length - end_length, end, end_length) == 0;
}

/* Libraries look for fixed names, for config.VERSION.json, and for chat_template.jinja and additional_chat_templates;
 * all of them end alike. */
bool scan_config_name(const char *path)
{
    return path_ends(path, ".json") || path_ends(path, ".jinja");
}

/* A chat template in a file of its own. */
static bool template_file_run(struct scan *scan, const struct source *source)
{
    struct template_scan template = {0};
    struct reader reader;
    const unsigned char *text;
    const char *found = NULL;
    size_t length;

    if (!reader_open(&reader, scan->arena, source, 0, source->size)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    scan_is(scan, "jinja");
    while (!found && (text = reader_peek(&reader, 1, &length))) {
        found = template_scan(&template, (const char *)text, length);
        (void)reader_skip(&reader, length);
    }
    if (reader.error != 0) {
        scan_failed(scan, SCAN_IO, reader.error);
    } else if (found) {
        struct argument argument = {.kind = ARGUMENT_STRING, .text = found};
        struct effect effect = {.kind = EFFECT_CODE,
                                .name = "template-escape",
                                .arguments = &argument,
                                .argument_count = 1,
                                .argument_known = true,
                                .detail = found};
        (void)scan_report(scan, "jinja", &effect);
    }
    return true;
}

bool config_run(struct scan *scan, const struct source *source, const char *name)
{
    enum json_event event;

    if (path_ends(name, ".jinja"))
        return template_file_run(scan, source);
    if (!path_ends(name, ".json"))
        return false;
    struct config *config = arena_take(scan->arena, sizeof(*config));
    if (config) {
        config->levels = arena_take(scan->arena, (LIMIT_JSON_DEPTH + 1) * sizeof(*config->levels));
        config->pairs = arena_take(scan->arena, LIMIT_CONFIG_PAIRS * sizeof(*config->pairs));
    }
    if (!config || !config->levels || !config->pairs || !json_open(&config->json, scan->arena, source)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    config->scan = scan;
    config->files = config_files(name);
    if (source->size > LIMIT_CONFIG) {
        if (!(config->files & CONFIG_FILE_KNOWN))
            return false;
        config_is(config);
        scan_opaque(scan, CONFIG_FORMAT, "config-size", 0, "a config too large to be one");
        return true;
    }
    event = json_next(&config->json);
    /* A value of any other kind can hold nothing, and text that begins with a number is most often no JSON at all. */
    if (event != JSON_OBJECT && event != JSON_ARRAY && config->json.error != JSON_ERROR_IO)
        return false;
    for (; event != JSON_FAILED && event != JSON_FINISHED && !scan->stopped; event = json_next(&config->json))
        event_read(config, event);
    config_pairs_end(config, 0);
    if (scan->stopped)
        return true;
    if (event == JSON_FINISHED)
        config_is(config);
    if (config->json.error == JSON_ERROR_IO) {
        scan_failed(scan, SCAN_IO, config->json.reader.error);
        return true;
    }
    if (config->json.error == JSON_ERROR_DEPTH) {
        config_is(config);
        scan_malformed(scan, CONFIG_FORMAT, "json-depth", config->json.offset,
                       "nested deeper than readers agree to follow");
    }
    return config->said;
}
