/* The structure of YAML: which text is a key, of what, and where objects and arrays begin and end. */
#include "yaml_text.h"

#include <string.h>

bool yaml_open(struct yaml *yaml, struct arena *arena, const struct source *source)
{
    memset(yaml, 0, sizeof(*yaml));
    yaml->levels = arena_take(arena, LIMIT_JSON_DEPTH * sizeof(*yaml->levels));
    yaml->anchors = arena_take(arena, LIMIT_YAML_ANCHORS * sizeof(*yaml->anchors));
    yaml->handles = arena_take(arena, LIMIT_YAML_HANDLES * sizeof(*yaml->handles));
    if (!yaml->levels || !yaml->anchors || !yaml->handles || !way_open(&yaml->way, arena) ||
        !reader_open(&yaml->reader, arena, source, 0, source->size))
        return false;
    yaml->first = true;
    yaml->node_column = SIZE_MAX;
    if (yaml_look(yaml, 0) == 0xEF && yaml_look(yaml, 1) == 0xBB && yaml_look(yaml, 2) == 0xBF)
        yaml->at = 3;
    yaml->wide = yaml_look(yaml, 0) >= 0xFE && yaml_look(yaml, 1) >= 0xFE;
    return true;
}

bool yaml_open_front_matter(struct yaml *yaml, struct arena *arena, const struct source *source)
{
    if (!yaml_open(yaml, arena, source))
        return false;
    for (;;) {
        yaml_blanks_skip(yaml);
        if (yaml_break(yaml, 0) == 0)
            break;
        yaml_break_take(yaml);
    }
    unsigned dashes = 0;
    while (dashes < 3 && yaml_look(yaml, dashes) == '-')
        dashes++;
    yaml->front_matter = true;
    yaml->ended = dashes < 3 || yaml_break(yaml, 3) == 0;
    if (!yaml->ended) {
        yaml_advance(yaml, 3);
        yaml_break_take(yaml);
    }
    return true;
}

static struct yaml_level *top_level(struct yaml *yaml)
{
    return yaml->depth > 0 ? &yaml->levels[yaml->depth - 1] : NULL;
}

static bool top_is(struct yaml *yaml, enum yaml_kind kind, size_t column)
{
    const struct yaml_level *top = top_level(yaml);

    return top && top->kind == kind && top->column == column;
}

static enum json_event level_open(struct yaml *yaml, enum yaml_kind kind, size_t column)
{
    bool array = kind == YAML_BLOCK_SEQUENCE || kind == YAML_FLOW_SEQUENCE;

    if (yaml->depth == LIMIT_JSON_DEPTH) {
        yaml->error = JSON_ERROR_DEPTH;
        return JSON_FAILED;
    }
    yaml->explicit_key = false;
    way_enter(&yaml->way, yaml->depth, array);
    if (kind == YAML_FLOW_SEQUENCE)
        way_element(&yaml->way, yaml->depth);
    yaml->levels[yaml->depth++] = (struct yaml_level){.kind = kind, .column = column};
    return array ? JSON_ARRAY : JSON_OBJECT;
}

static enum json_event level_close(struct yaml *yaml)
{
    const struct yaml_level *level = &yaml->levels[--yaml->depth];

    way_leave(&yaml->way, yaml->depth);
    return level->kind == YAML_BLOCK_SEQUENCE || level->kind == YAML_FLOW_SEQUENCE ? JSON_ARRAY_END : JSON_OBJECT_END;
}

/* Closes levels down to `depth` before anything else is read. */
static void levels_close(struct yaml *yaml, unsigned depth)
{
    yaml->closing = true;
    yaml->close_to = depth;
}

/* Another node begins: what stood before it is not its own. */
static void node_reset(struct yaml *yaml)
{
    yaml->anchor[0] = '\0';
    yaml->node_column = SIZE_MAX;
}

/* Moves over white space, line breaks and comments. False at the end. */
static bool space_skip(struct yaml *yaml)
{
    for (;;) {
        yaml_blanks_skip(yaml);
        if (yaml_look(yaml, 0) == '#')
            while (yaml_look(yaml, 0) >= 0 && yaml_break(yaml, 0) == 0)
                yaml_advance(yaml, 1);
        if (yaml_break(yaml, 0) == 0)
            return yaml_look(yaml, 0) >= 0;
        yaml_break_take(yaml);
    }
}

/* Is the text that was just read a key? Then its colon is taken. */
static bool colon_take(struct yaml *yaml, bool quoted)
{
    if (yaml->in_text || yaml->many_lines || yaml->first)
        return false;
    yaml_blanks_skip(yaml);
    if (yaml_look(yaml, 0) != ':')
        return false;
    if (!yaml_blank(yaml, 1)) {
        int c = yaml_look(yaml, 1);
        if (!yaml_in_flow(yaml) || (!quoted && c != ',' && c != '[' && c != ']' && c != '{' && c != '}'))
            return false;
    }
    yaml_advance(yaml, 1);
    return true;
}

static enum json_event key_tell(struct yaml *yaml)
{
    way_key(&yaml->way, yaml->depth - 1, yaml->text, yaml->text_length);
    yaml->levels[yaml->depth - 1].keyed = true;
    yaml->explicit_key = false;
    return JSON_KEY;
}

/* The text is a key of the object at hand, or the first of one that begins here. */
static enum json_event key_place(struct yaml *yaml, enum yaml_kind kind, size_t column, bool there)
{
    bool above = yaml->anchor[0] != '\0' && yaml->anchor_above;

    if (yaml->anchor[0] != '\0' && !(there && above))
        yaml_anchor_put(yaml, !above);
    node_reset(yaml);
    if (there)
        return key_tell(yaml);
    enum json_event event = level_open(yaml, kind, column);
    yaml->held = event != JSON_FAILED;
    return event;
}

static enum json_event word_event(struct yaml *yaml)
{
    static const struct {
        const char *word;
        enum json_event event;
    } words[] = {
        {"null", JSON_NULL},   {"Null", JSON_NULL},   {"NULL", JSON_NULL}, {"~", JSON_NULL},   {"false", JSON_FALSE},
        {"False", JSON_FALSE}, {"FALSE", JSON_FALSE}, {"no", JSON_FALSE},  {"No", JSON_FALSE}, {"off", JSON_FALSE},
        {"true", JSON_TRUE},   {"True", JSON_TRUE},   {"TRUE", JSON_TRUE}, {"yes", JSON_TRUE}, {"on", JSON_TRUE},
    };

    for (size_t i = 0; yaml->plain && !yaml->cut && i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(words[i].word, yaml->text) == 0)
            return words[i].event;
    return JSON_STRING;
}

/* A text was read that began at `column`: tells it as a key or a value. */
static enum json_event text_tell(struct yaml *yaml, size_t column, bool quoted)
{
    struct yaml_level *top = top_level(yaml);
    bool explicit_key = yaml->explicit_key, key = colon_take(yaml, quoted);

    yaml->alias = false;
    yaml->plain = !quoted;
    if (yaml_in_flow(yaml)) {
        bool pair = top->kind == YAML_FLOW_SEQUENCE;
        if (key || (!pair && !top->keyed))
            return key_place(yaml, YAML_FLOW_PAIR, 0, !pair);
    } else if (key) {
        return key_place(yaml, YAML_BLOCK_MAP, column, top_is(yaml, YAML_BLOCK_MAP, column));
    } else if (explicit_key) {
        bool cut = yaml->cut;
        while (yaml->in_text) /* a key that long is none that is known */
            yaml_text_part(yaml);
        yaml->cut = cut;
        return key_place(yaml, YAML_BLOCK_MAP, column, top && top->kind == YAML_BLOCK_MAP);
    }
    if (yaml->anchor[0] != '\0')
        yaml_anchor_put(yaml, true);
    node_reset(yaml);
    return word_event(yaml);
}

static enum json_event alias_take(struct yaml *yaml, size_t column)
{
    const struct yaml_anchor *anchor;
    char name[64];

    yaml->offset = yaml->window_start + yaml->at;
    yaml_name_take(yaml, name);
    anchor = yaml_anchor_find(yaml, name);
    bool is_text = anchor && anchor->is_text;
    yaml->first = yaml->many_lines = yaml->in_text = false;
    yaml->text_length = is_text ? anchor->length : 0;
    memcpy(yaml->text, is_text ? anchor->text : "", yaml->text_length);
    yaml->text[yaml->text_length] = '\0';
    yaml->cut = is_text && anchor->cut;
    enum json_event event = text_tell(yaml, column, true);
    if (event != JSON_STRING || is_text)
        return event;
    yaml->alias = true;
    return JSON_NULL;
}

/* A tag, anchor, alias, flow collection or text. */
static bool node_token(struct yaml *yaml, enum json_event *event)
{
    int c = yaml_look(yaml, 0);
    size_t column = yaml->node_column != SIZE_MAX ? yaml->node_column : yaml->column;

    switch (c) {
    case '!':
        yaml->node_column = column;
        yaml_tag_take(yaml);
        *event = JSON_TAG;
        return true;
    case '&':
        yaml->node_column = column;
        yaml_name_take(yaml, yaml->anchor);
        yaml->anchor_above = false;
        return false;
    case '*':
        *event = alias_take(yaml, column);
        return true;
    case '[':
    case '{':
        yaml->offset = yaml->window_start + yaml->at;
        yaml_advance(yaml, 1);
        if (yaml->anchor[0] != '\0')
            yaml_anchor_put(yaml, false);
        node_reset(yaml);
        yaml->first = false;
        *event = level_open(yaml, c == '[' ? YAML_FLOW_SEQUENCE : YAML_FLOW_MAP, 0);
        return true;
    default:
        yaml_text_begin(yaml);
        *event = text_tell(yaml, column, yaml_text_quoted(yaml));
        return true;
    }
}

/* The next token outside flow collections. True: `event` is to tell. */
static bool block_token(struct yaml *yaml, enum json_event *event)
{
    int c = yaml_look(yaml, 0);
    bool dash = c == '-' && yaml_blank(yaml, 1);
    unsigned depth = yaml->depth;

    if (yaml->first && yaml_document_marker(yaml)) {
        yaml_advance(yaml, 3);
        yaml->first = false;
        yaml->anchor_count = 0;
        if (c == '.')
            yaml->handle_count = 0;
        node_reset(yaml);
        levels_close(yaml, 0);
        return false;
    }
    if (c == '%' && yaml->column == 0) {
        if (depth == 0)
            yaml_directive_take(yaml);
        else
            levels_close(yaml, 0);
        return false;
    }
    for (; yaml->first && depth > 0; depth--) {
        const struct yaml_level *level = &yaml->levels[depth - 1];
        if (level->column < yaml->column ||
            (level->column == yaml->column && (level->kind == YAML_BLOCK_MAP || dash)))
            break;
    }
    if (depth < yaml->depth) {
        node_reset(yaml);
        levels_close(yaml, depth);
        return false;
    }
    if (!yaml_blank(yaml, 1) || (c != '-' && c != '?' && c != ':')) {
        if (c != ']' && c != '}')
            return node_token(yaml, event);
        yaml_advance(yaml, 1);
        return false;
    }
    enum yaml_kind kind = dash ? YAML_BLOCK_SEQUENCE : YAML_BLOCK_MAP;
    if (c != ':' && !top_is(yaml, kind, yaml->column)) {
        if (yaml->anchor[0] != '\0')
            yaml_anchor_put(yaml, false);
        *event = level_open(yaml, kind, yaml->column);
        return true;
    }
    size_t node = yaml->node_column;
    yaml_advance(yaml, 1);
    if (c == ':' && node != SIZE_MAX) { /* nothing but a tag or anchor is the key */
        yaml->text[yaml->text_length = 0] = '\0';
        *event = key_place(yaml, YAML_BLOCK_MAP, node, top_is(yaml, YAML_BLOCK_MAP, node));
        return true;
    }
    if (dash)
        way_element(&yaml->way, yaml->depth - 1);
    node_reset(yaml);
    yaml->first = true;
    if (c == '?') { /* an object or array may be the key: that has no name */
        yaml->text[yaml->text_length = 0] = '\0';
        *event = key_tell(yaml);
    }
    yaml->explicit_key = c == '?';
    return c == '?';
}

static bool flow_token(struct yaml *yaml, enum json_event *event)
{
    int c = yaml_look(yaml, 0);
    struct yaml_level *top = top_level(yaml);
    bool pair = top->kind == YAML_FLOW_PAIR, closes = c == ']' || c == '}';

    if (closes || (pair && c == ',')) {
        if (!pair)
            yaml_advance(yaml, 1);
        node_reset(yaml);
        *event = level_close(yaml);
        return true;
    }
    if (c == ',') {
        if (top->kind == YAML_FLOW_SEQUENCE)
            way_element(&yaml->way, yaml->depth - 1);
        top->keyed = false;
    } else if (c == '?' && top->kind == YAML_FLOW_SEQUENCE) {
        yaml_advance(yaml, 1);
        *event = level_open(yaml, YAML_FLOW_PAIR, 0);
        return true;
    } else if (c != ':' && c != '?' && !(c == '-' && yaml_blank(yaml, 1))) {
        return node_token(yaml, event);
    }
    if (c != ':')
        node_reset(yaml);
    yaml_advance(yaml, 1);
    return false;
}

enum json_event yaml_next(struct yaml *yaml)
{
    enum json_event event = JSON_FAILED;

    if (yaml->error != JSON_ERROR_NONE)
        return JSON_FAILED;
    if (yaml->in_text) {
        yaml_text_part(yaml);
        return JSON_STRING_MORE;
    }
    if (yaml->held) {
        yaml->held = false;
        return key_tell(yaml);
    }
    for (;;) {
        if (yaml->closing && yaml->depth > yaml->close_to)
            return level_close(yaml);
        yaml->closing = false;
        if (!space_skip(yaml)) {
            if (yaml->reader.error != 0) {
                yaml->error = JSON_ERROR_IO;
                return JSON_FAILED;
            }
            if (yaml->depth == 0)
                return JSON_FINISHED;
            levels_close(yaml, 0);
        } else if (yaml_in_flow(yaml) ? flow_token(yaml, &event) : block_token(yaml, &event)) {
            return event;
        }
    }
}
