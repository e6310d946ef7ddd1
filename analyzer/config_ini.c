/* Configs in spaCy's INI dialect: sections are ways of keys, values are JSON (spacy's and confection's config.py). */
#include "config_report.h"

#include <string.h>

#define LINE_SIZE 4096u /* the longest line, and value over several lines, that is looked into */

struct ini {
    struct config *config;
    struct way way;
    unsigned section; /* depth of the section's keys */
    struct reader reader;
    char *value;
    size_t value_length;
    uint64_t value_offset;
    bool has_value;
};

static void tell(struct ini *ini, enum json_event event, const char *text, size_t length, unsigned depth)
{
    struct config *config = ini->config;

    config->text = text;
    config->text_length = length;
    config->cut = false;
    config->depth = depth;
    config->way = &ini->way;
    config_event(config, event);
}

static void key_tell(struct ini *ini, const char *key, size_t length, unsigned depth)
{
    char text[LIMIT_NAME + 8];

    length = length < LIMIT_NAME ? length : LIMIT_NAME;
    memcpy(text, key, length);
    text[length] = '\0';
    way_key(&ini->way, depth - 1, text, length);
    tell(ini, JSON_KEY, text, length, depth);
}

static void object_tell(struct ini *ini, unsigned depth, bool array)
{
    way_enter(&ini->way, depth, array);
    tell(ini, array ? JSON_ARRAY : JSON_OBJECT, "", 0, depth + 1);
}

static void object_end(struct ini *ini, unsigned depth, bool array)
{
    way_leave(&ini->way, depth);
    tell(ini, array ? JSON_ARRAY_END : JSON_OBJECT_END, "", 0, depth);
}

/* Tells the value in `ini->value`, which is JSON, below the key at hand. */
static bool json_value(struct ini *ini)
{
    struct scan *scan = ini->config->scan;
    struct source_memory memory = {(const unsigned char *)ini->value, ini->value_length};
    struct source source = source_from_memory(&memory);
    struct json *json = arena_take(scan->arena, sizeof(*json));
    enum json_event event;
    bool any = false;

    if (!json || !json_open(json, scan->arena, &source)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    for (event = json_next(json); event != JSON_FAILED && event != JSON_FINISHED && !scan->stopped;
         event = json_next(json)) {
        unsigned depth = ini->section + json->depth;
        bool array = event == JSON_ARRAY || event == JSON_ARRAY_END;
        any = true;
        if (depth >= LIMIT_JSON_DEPTH)
            break;
        if (json->depth > 0 && json->way.levels[json->depth - 1].array && event != JSON_ARRAY && event != JSON_OBJECT)
            way_element(&ini->way, depth - 1);
        if (event == JSON_OBJECT || event == JSON_ARRAY)
            object_tell(ini, depth - 1, array);
        else if (event == JSON_OBJECT_END || event == JSON_ARRAY_END)
            object_end(ini, depth, array);
        else if (event == JSON_KEY)
            key_tell(ini, json->text, json->text_length, depth);
        else
            tell(ini, event, json->text, json->text_length, depth);
    }
    return any;
}

static void value_end(struct ini *ini)
{
    struct arena_mark mark = arena_mark(ini->config->scan->arena);

    if (!ini->has_value)
        return;
    ini->has_value = false;
    ini->config->offset = ini->value_offset;
    ini->value[ini->value_length] = '\0';
    if (!json_value(ini) && ini->value_length > 0)
        tell(ini, JSON_STRING, ini->value, ini->value_length < LIMIT_NAME ? ini->value_length : LIMIT_NAME,
             ini->section);
    arena_release(ini->config->scan->arena, mark);
}

static void value_add(struct ini *ini, const char *text, size_t length)
{
    size_t room = LINE_SIZE - ini->value_length;

    length = length < room ? length : room;
    memcpy(ini->value + ini->value_length, text, length);
    ini->value_length += length;
}

/* "[components.ner.model]": closes the section before and opens one object a part. */
static void section_read(struct ini *ini, const char *name, size_t length)
{
    while (ini->section > 1)
        object_end(ini, --ini->section, false);
    for (size_t at = 0; at <= length && ini->section < LIMIT_INI_DEPTH;) {
        const char *dot = memchr(name + at, '.', length - at);
        size_t part = dot ? (size_t)(dot - name) - at : length - at;
        key_tell(ini, name + at, part, ini->section);
        object_tell(ini, ini->section++, false);
        at += part + 1;
    }
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void line_read(struct ini *ini, const char *line, size_t length, uint64_t offset)
{
    bool indented = length > 0 && blank(line[0]);
    size_t key = 0;

    while (length > 0 && blank(line[length - 1]))
        length--;
    while (length > 0 && blank(line[0])) {
        line++;
        length--;
    }
    if (length == 0 || line[0] == '#' || line[0] == ';')
        return;
    if (indented && ini->has_value) {
        value_add(ini, line, length);
        return;
    }
    value_end(ini);
    if (line[0] == '[' && memchr(line, ']', length)) {
        section_read(ini, line + 1, (size_t)((const char *)memchr(line, ']', length) - line) - 1);
        return;
    }
    while (key < length && line[key] != '=' && line[key] != ':')
        key++;
    if (key == length)
        return;
    size_t at = key + 1, name = key;
    while (name > 0 && blank(line[name - 1]))
        name--;
    while (at < length && blank(line[at]))
        at++;
    ini->config->offset = offset;
    key_tell(ini, line, name, ini->section);
    ini->has_value = true;
    ini->value_length = 0;
    ini->value_offset = offset;
    value_add(ini, line + at, length - at);
}

bool config_ini_run(struct scan *scan, const struct source *source, const char *name)
{
    struct config *config = config_open(scan, name, "ini");
    struct ini *ini = config ? arena_take(scan->arena, sizeof(*ini)) : NULL;
    const unsigned char *line;
    size_t length;

    if (ini)
        ini->value = arena_take(scan->arena, LINE_SIZE + 1);
    if (!ini || !ini->value || !way_open(&ini->way, scan->arena) ||
        !reader_open(&ini->reader, scan->arena, source, 0, source->size)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    ini->config = config;
    object_tell(ini, 0, false);
    ini->section = 1;
    while (!scan->stopped && (line = reader_rest(&ini->reader, LINE_SIZE, &length)) != NULL) {
        const unsigned char *end = memchr(line, '\n', length);
        uint64_t offset = ini->reader.position, skipped;
        size_t shown = end ? (size_t)(end - line) : length;
        line_read(ini, (const char *)line, shown < LINE_SIZE ? shown : LINE_SIZE, offset);
        if (!reader_skip_line(&ini->reader, &skipped))
            break;
    }
    value_end(ini);
    /* Any text has lines with a colon: it is a config when it says something that spaCy acts on. */
    config_pairs_end(config, 0);
    if (ini->reader.error != 0) {
        scan_failed(scan, SCAN_IO, ini->reader.error);
        return true;
    }
    return config->said;
}
