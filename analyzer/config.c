#include "config.h"

#include "config_report.h"

#include <string.h>

static bool path_ends(const char *path, const char *end)
{
    size_t length = path ? strlen(path) : 0, end_length = strlen(end);

    return length >= end_length && memcmp(path + length - end_length, end, end_length) == 0;
}

/* Libraries look for fixed names, for config.VERSION.json, and for chat_template.jinja and additional_chat_templates;
 * hydra and its like take any YAML file. */
bool scan_config_name(const char *path)
{
    static const char *const ends[] = {".json", ".jinja", ".yaml", ".yml"};
    static const char *const names[] = {"config.cfg", "README.md", "MLmodel"};
    const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        if (path_ends(path, ends[i]))
            return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (name && strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* huggingface_hub's repocard.py (REGEX_YAML_BLOCK) lets white space come before the dashes. */
bool scan_config_begins(const char *path, const unsigned char *head, size_t length)
{
    size_t at = 0;

    if (!scan_config_name(path))
        return false;
    if (!path_ends(path, "README.md"))
        return true;
    while (at < length && memchr(" \t\r\n\f\v", head[at], 6))
        at++;
    return length - at >= 3 && memcmp(head + at, "---", 3) == 0;
}

/* A chat template in a file of its own. */
static bool template_run(struct scan *scan, const struct source *source)
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
                                .name = template_effect(found),
                                .arguments = &argument,
                                .argument_count = 1,
                                .argument_known = true,
                                .detail = found};
        (void)scan_report(scan, "jinja", &effect);
    }
    return true;
}

/* Anything larger is data, unless its name says that it is not. */
static bool too_large(struct scan *scan, const struct source *source, const char *name)
{
    if (source->size <= LIMIT_CONFIG || !(config_files(name) & CONFIG_FILE_KNOWN))
        return source->size > LIMIT_CONFIG;
    scan_is(scan, "json");
    scan_opaque(scan, "json", "config-size", 0, "a config too large to be one");
    return true;
}

bool config_run(struct scan *scan, const struct source *source, const char *name)
{
    unsigned files = config_files(name);

    if (path_ends(name, ".jinja"))
        return template_run(scan, source);
    if (files == 0)
        return false;
    if (too_large(scan, source, name))
        return files & CONFIG_FILE_KNOWN;
    if (files & CONFIG_FILE_ANY)
        return config_json_run(scan, source, name);
    if (files & CONFIG_FILE_INI)
        return config_ini_run(scan, source, name);
    return config_yaml_run(scan, source, name);
}
