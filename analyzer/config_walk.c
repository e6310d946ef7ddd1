/* The walk over a config's keys and values, however they are written. */
#include "config_report.h"

#include <string.h>

bool config_dotted_name(const char *text)
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

/* "org/name" as the hub has them. */
static bool hub_shaped(const char *text)
{
    const char *slash = strchr(text, '/');

    return slash && slash != text && slash[1] != '\0' && text[0] != '.' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/@") == strlen(text) &&
           !strchr(slash + 1, '/');
}

static void pieces_read(struct config *config)
{
    const struct config_key *row = config->read_on;
    bool template = row->role == CONFIG_TEMPLATE;
    const char *found = template ? template_scan(&config->template, config->text, config->text_length)
                                 : symbolic_scan(&config->symbolic, config->text, config->text_length);

    if (!found)
        return;
    config->read_on = NULL;
    config_report_code(config, template ? template_effect(found) : row->token, template ? found : config->text);
}

/* A callable that a loader looks up and calls. What is put together from other places cannot be told. */
static void call_read(struct config *config, const char *text)
{
    bool computed = strstr(text, "${") != NULL;

    config_report_name(config, EFFECT_CALL, computed ? "?" : text, false);
    if (strncmp(text, "hydra.utils.get_", 16) == 0)
        config_pair_put(config, &config_pair_getter, false);
}

static void edge_read(struct config *config, const struct config_key *row)
{
    const char *text = config->text;

    switch (row->role) {
    case CONFIG_TARGET:
        config_report_target(config, text, false);
        break;
    case CONFIG_HUB_TARGET:
        /* "$model/..." and "<reference>/..." are parts of this model. */
        if (text[0] != '$' && text[0] != '<' && (strchr(text, '/') || strchr(text, ':')))
            config_report_target(config, text, true);
        break;
    case CONFIG_HUB_SHAPED:
        if (hub_shaped(text))
            config_report_target(config, text, true);
        break;
    case CONFIG_BASE:
        config_pair_put(config, row, false);
        break;
    case CONFIG_REVISION:
        config_pair_put(config, &config_pair_base, true);
        break;
    case CONFIG_OWN_REVISION:
        config_report_own_revision(config, text);
        break;
    case CONFIG_DATA:
        config_report_target(config, text, false);
        config_report_path(config, text, false);
        break;
    default:
        config_report_address(config, text);
        break;
    }
}

static void code_read(struct config *config, const struct config_key *row)
{
    const char *text = config->text;

    switch (row->role) {
    case CONFIG_CODE:
        config_report_reference(config, row->token, text);
        break;
    case CONFIG_CODE_FILE:
        config_report_path(config, text, true);
        config_report_code(config, row->token, text);
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
    case CONFIG_CODE_NAMED:
        config_report_registered(config, text);
        break;
    case CONFIG_EVALUATED:
        config_report_expression(config, row->token, text);
        break;
    case CONFIG_SYMBOLIC:
    case CONFIG_TEMPLATE:
        config->template = (struct template_scan){0};
        config->symbolic = (struct symbolic_scan){0};
        config->read_on = row;
        pieces_read(config);
        break;
    default:
        break;
    }
}

static void name_read(struct config *config, const struct config_key *row)
{
    const char *text = config->text;

    switch (row->role) {
    case CONFIG_LIBRARY:
        config_pair_put(config, row, false);
        break;
    case CONFIG_CLASS:
        config_pair_put(config, &config_pair_library, true);
        break;
    case CONFIG_OF_TRANSFORMERS:
        config_report_call_of(config, EFFECT_IMPORT, "transformers", text);
        break;
    case CONFIG_OF_TORCH:
        config_report_call_of(config, EFFECT_IMPORT, "torch", strrchr(text, '.') ? strrchr(text, '.') + 1 : text);
        break;
    case CONFIG_MODULE_TYPE:
        if (strncmp(text, "sentence_transformers.", 22) == 0)
            break;
        config_report_name(config, EFFECT_IMPORT, text, false);
        config_report_code(config, row->token, text);
        break;
    case CONFIG_CALL:
        call_read(config, text);
        break;
    case CONFIG_CALL_DOTTED:
        if (config_dotted_name(text) || strstr(text, "${"))
            call_read(config, text);
        break;
    case CONFIG_GETTER:
        if (config_dotted_name(text))
            config_pair_put(config, &config_pair_getter, true);
        break;
    case CONFIG_ACTIVATION:
        if (config_dotted_name(text))
            config_report_name(config, EFFECT_CALL, text, true);
        break;
    default:
        config_report_name(config, EFFECT_IMPORT, text, false);
        break;
    }
}

static void string_read(struct config *config, const struct config_key *row)
{
    switch (row->role) {
    case CONFIG_TARGET:
    case CONFIG_HUB_TARGET:
    case CONFIG_HUB_SHAPED:
    case CONFIG_BASE:
    case CONFIG_REVISION:
    case CONFIG_OWN_REVISION:
    case CONFIG_DATA:
    case CONFIG_ADDRESS:
        edge_read(config, row);
        break;
    case CONFIG_CODE:
    case CONFIG_CODE_FILE:
    case CONFIG_CODE_NAMED:
    case CONFIG_KERNEL:
    case CONFIG_ATTACK:
    case CONFIG_EVALUATED:
    case CONFIG_SYMBOLIC:
    case CONFIG_TEMPLATE:
        code_read(config, row);
        break;
    case CONFIG_IMPORT:
    case CONFIG_OF_TRANSFORMERS:
    case CONFIG_OF_TORCH:
    case CONFIG_MODULE_TYPE:
    case CONFIG_LIBRARY:
    case CONFIG_CLASS:
    case CONFIG_CALL:
    case CONFIG_CALL_DOTTED:
    case CONFIG_GETTER:
    case CONFIG_ACTIVATION:
        name_read(config, row);
        break;
    case CONFIG_PATH:
    case CONFIG_PATH_UP:
        config_report_path(config, config->text, row->role == CONFIG_PATH);
        break;
    case CONFIG_SHARD:
        config_report_shard(config, config->text);
        break;
    case CONFIG_PIPELINES:
    case CONFIG_COMPONENT:
    case CONFIG_CONTEXT:
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
    struct level *level = &config->levels[config->depth];
    const struct config_key *row = NULL;

    if (!config->cut)
        row = config_key_find(config->text, config->text_length, config->files, level->context, level->context_here);
    level->key = row;
    level->merges = strcmp(config->text, "<<") == 0;
    level->pipeline_file = config->depth == 1 && strcmp(config->text, config_pipeline_file.key) == 0;
    if (level->inherited) {
        level->key = level->inherited;
        if (level->inherited->role == CONFIG_PIPELINES && strcmp(config->text, config_pipeline_impl.key) == 0)
            level->key = &config_pipeline_impl;
        return;
    }
    if (!row || row < config_keys || row >= config_keys + config_keys_count)
        return;
    size_t index = (size_t)(row - config_keys);
    uint64_t bit = 1ull << (index & 63), *seen = &level->seen[index >> 6];
    if ((*seen & bit) && row->role != CONFIG_CONTEXT && !config->scan->stopped) {
        config_is(config);
        scan_malformed(config->scan, config->format,
                       strcmp(config->format, "json") == 0 ? "json-duplicate-key" : "config-duplicate-key",
                       config->offset, "a key that names a model or code stands twice in one object");
    }
    *seen |= bit;
}

static void container_read(struct config *config, const struct config_key *row, bool array)
{
    struct level *level = &config->levels[config->depth], *parent = level - 1;
    bool component = row && row->role == CONFIG_COMPONENT;

    if (row && row->role == CONFIG_ATTACK)
        config_report_code(config, row->token, NULL);
    *level = (struct level){.inherited = row && row->inherited ? row : NULL, .context = parent->context};
    if (row && row->role == CONFIG_CONTEXT) {
        level->context = row;
        level->context_here = true;
    }
    level->key = level->inherited;
    /* pipeline_loading_utils.py: each component of a pipeline is [library, class]; a "_class_name" of that form is a
     * Python file of the model itself. */
    if (array && (component || (config->depth == 2 && (config->files & CONFIG_FILE_PIPELINE) && !row))) {
        level->component = 1;
        level->key = parent->pipeline_file ? &config_pipeline_file : &config_pair_library;
    }
}

/* The value stands elsewhere in the text, where its keys and names were read without knowing what for. */
static void alias_read(struct config *config, const struct config_key *row)
{
    const struct level *level = &config->levels[config->depth];

    if ((!row && !(level->merges && level->context_here)) || config->scan->stopped)
        return;
    config_is(config);
    scan_malformed(config->scan, config->format, "yaml-alias", config->offset,
                   "what a loader acts on is an alias of something longer that stands elsewhere");
}

void config_event(struct config *config, enum json_event event)
{
    bool opened = event == JSON_OBJECT || event == JSON_ARRAY;
    const struct config_key *row;

    switch (event) {
    case JSON_KEY:
        key_read(config);
        return;
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
        config_pairs_end(config, config->depth);
        return;
    case JSON_STRING_MORE:
        if (config->read_on)
            pieces_read(config);
        return;
    case JSON_TAG:
        return;
    default:
        break;
    }
    config->read_on = NULL;
    row = value_meaning(&config->levels[opened ? config->depth - 1 : config->depth]);
    if (opened)
        container_read(config, row, event == JSON_ARRAY);
    else if (config->alias)
        alias_read(config, row);
    else if (row && event == JSON_STRING)
        string_read(config, row);
    else if (row && row->role == CONFIG_ATTACK && event != JSON_NULL && event != JSON_FALSE)
        config_report_code(config, row->token, NULL);
}

struct config *config_open(struct scan *scan, const char *name, const char *format)
{
    struct config *config = arena_take(scan->arena, sizeof(*config));

    if (config) {
        config->levels = arena_take(scan->arena, (LIMIT_JSON_DEPTH + 1) * sizeof(*config->levels));
        config->pairs = arena_take(scan->arena, LIMIT_CONFIG_PAIRS * sizeof(*config->pairs));
    }
    if (!config || !config->levels || !config->pairs) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return NULL;
    }
    config->scan = scan;
    config->format = format;
    config->files = config_files(name);
    return config;
}

bool config_end(struct config *config, enum json_event last, enum json_error error, int io_error)
{
    config_pairs_end(config, 0);
    if (config->scan->stopped)
        return true;
    if (last == JSON_FINISHED)
        config_is(config);
    if (error == JSON_ERROR_IO) {
        scan_failed(config->scan, SCAN_IO, io_error);
        return true;
    }
    if (error == JSON_ERROR_DEPTH) {
        config_is(config);
        scan_malformed(config->scan, config->format, "json-depth", config->offset,
                       "nested deeper than readers agree to follow");
    }
    return config->said;
}
