/* Bytes and texts of YAML, as PyYAML's scanner.py reads them. */
#include "yaml_text.h"

#include "utf8.h"

#include <string.h>

enum style { STYLE_PLAIN, STYLE_SINGLE, STYLE_DOUBLE, STYLE_BLOCK };

#define LOOK_AHEAD 16u

/* --- Bytes -------------------------------------------------------------------------------------------------------- */

int yaml_look(struct yaml *yaml, size_t ahead)
{
    if (yaml->at + ahead >= yaml->window_length && !yaml->ended) {
        (void)reader_skip(&yaml->reader, yaml->at);
        yaml->at = 0;
        yaml->window_start = yaml->reader.position;
        yaml->window = reader_rest(&yaml->reader, LOOK_AHEAD, &yaml->window_length);
        if (yaml->window == NULL)
            yaml->window_length = 0;
    }
    return yaml->ended || ahead >= yaml->window_length - yaml->at ? -1 : yaml->window[yaml->at + ahead];
}

void yaml_advance(struct yaml *yaml, size_t count)
{
    yaml->at += count;
    yaml->column += count;
}

size_t yaml_break(struct yaml *yaml, size_t ahead)
{
    int c = yaml_look(yaml, ahead);

    if (c == '\n')
        return 1;
    if (c == '\r')
        return yaml_look(yaml, ahead + 1) == '\n' ? 2 : 1;
    /* YAML 1.1 knows three more: NEL, LINE SEPARATOR and PARAGRAPH SEPARATOR. */
    if (c == 0xC2 && yaml_look(yaml, ahead + 1) == 0x85)
        return 2;
    if (c == 0xE2 && yaml_look(yaml, ahead + 1) == 0x80 && (yaml_look(yaml, ahead + 2) | 1) == 0xA9)
        return 3;
    return 0;
}

bool yaml_blank(struct yaml *yaml, size_t ahead)
{
    int c = yaml_look(yaml, ahead);

    return c == ' ' || c == '\t' || c < 0 || yaml_break(yaml, ahead) > 0;
}

/* The end of front matter: huggingface_hub/repocard.py, REGEX_YAML_BLOCK. */
static bool front_matter_ends(struct yaml *yaml)
{
    for (size_t i = 0; i < 3; i++)
        if (yaml_look(yaml, i) != '-')
            return false;
    return yaml_look(yaml, 3) < 0 || yaml_look(yaml, 3) == '\n' || yaml_look(yaml, 3) == '\r';
}

void yaml_break_take(struct yaml *yaml)
{
    yaml->at += yaml_break(yaml, 0);
    yaml->column = 0;
    yaml->first = true;
    yaml->node_column = SIZE_MAX;
    yaml->anchor_above = true;
    if (yaml->front_matter && front_matter_ends(yaml))
        yaml->ended = true;
}

void yaml_blanks_skip(struct yaml *yaml)
{
    int c;

    while ((c = yaml_look(yaml, 0)) == ' ' || c == '\t')
        yaml_advance(yaml, 1);
}

bool yaml_in_flow(const struct yaml *yaml)
{
    return yaml->depth > 0 && yaml->levels[yaml->depth - 1].kind >= YAML_FLOW_MAP;
}

/* --- Texts -------------------------------------------------------------------------------------------------------- */

static void put(struct yaml *yaml, int c)
{
    if (c == 0)
        yaml->text_length += utf8_put((unsigned char *)yaml->text + yaml->text_length, 0);
    else
        yaml->text[yaml->text_length++] = (char)c;
}

static void put_next(struct yaml *yaml)
{
    put(yaml, yaml_look(yaml, 0));
    yaml_advance(yaml, 1);
}

/* Lines that a text in quotes or a plain one goes over become a space, or as many line feeds as there are
 * empty ones. */
static void lines_fold(struct yaml *yaml)
{
    size_t breaks = 0;

    for (; yaml_break(yaml, 0) > 0; breaks++) {
        yaml_break_take(yaml);
        yaml_blanks_skip(yaml);
    }
    yaml->many_lines = true;
    put(yaml, breaks == 1 ? ' ' : '\n');
}

/* What stands behind a backslash. */
static void escape_take(struct yaml *yaml)
{
    static const char names[] = "0abt\tnvfre \"/\\N_LP", digits[] = "xuU";
    static const uint32_t values[] = {0,    '\a', '\b', '\t', '\t', '\n', '\v', '\f',   '\r',
                                      0x1B, ' ',  '"',  '/',  '\\', 0x85, 0xA0, 0x2028, 0x2029};
    unsigned char *out = (unsigned char *)yaml->text;
    int c = yaml_look(yaml, 0);
    const char *name = c > 0 ? strchr(names, c) : NULL;
    const char *width = c > 0 ? strchr(digits, c) : NULL;

    if (yaml_break(yaml, 0) > 0) { /* the line goes on as if it had not ended */
        yaml->many_lines = true;
        yaml_break_take(yaml);
        yaml_blanks_skip(yaml);
        return;
    }
    if (c < 0)
        return;
    yaml_advance(yaml, 1);
    if (name) {
        yaml->text_length += utf8_put(out + yaml->text_length, values[name - names]);
    } else if (width) {
        uint32_t point = 0;
        for (unsigned i = 0; i < 2u << (width - digits) && yaml_hex_digit(yaml_look(yaml, 0)) >= 0; i++) {
            point = point << 4 | (uint32_t)yaml_hex_digit(yaml_look(yaml, 0));
            yaml_advance(yaml, 1);
        }
        if (point < 0x110000)
            yaml->text_length += utf8_put(out + yaml->text_length, point);
    } else {
        put(yaml, c);
    }
}

/* One step through a text in quotes. False at its end. */
static bool quoted_step(struct yaml *yaml, int quote)
{
    int c = yaml_look(yaml, 0);

    if (c < 0)
        return false;
    if (c == quote && quote == '\'' && yaml_look(yaml, 1) == '\'') {
        yaml_advance(yaml, 1);
        put_next(yaml);
    } else if (c == quote) {
        yaml_advance(yaml, 1);
        return false;
    } else if (c == '\\' && quote == '"') {
        yaml_advance(yaml, 1);
        escape_take(yaml);
    } else if (yaml_break(yaml, 0) > 0) {
        lines_fold(yaml);
    } else {
        put_next(yaml);
    }
    return true;
}

bool yaml_document_marker(struct yaml *yaml)
{
    int c = yaml_look(yaml, 0);

    return yaml->column == 0 && (c == '-' || c == '.') && yaml_look(yaml, 1) == c && yaml_look(yaml, 2) == c &&
           yaml_blank(yaml, 3);
}

/* A plain text is at the end of a line: does it go on in the next? */
static bool plain_goes_on(struct yaml *yaml)
{
    bool flow = yaml_in_flow(yaml);
    size_t least = yaml->depth > 0 ? yaml->levels[yaml->depth - 1].column + 1 : 0;

    while (yaml_break(yaml, 0) > 0) {
        yaml_break_take(yaml);
        yaml_blanks_skip(yaml);
    }
    int c = yaml_look(yaml, 0);
    if (c < 0 || c == '#' || yaml_document_marker(yaml) || (!flow && yaml->column < least))
        return false;
    if (c == ':' && yaml_blank(yaml, 1))
        return false;
    return !flow || !yaml_flow_indicator(c);
}

static bool plain_step(struct yaml *yaml)
{
    int c = yaml_look(yaml, 0);
    bool blanks = c == ' ' || c == '\t';

    if (blanks) {
        yaml_blanks_skip(yaml);
        c = yaml_look(yaml, 0);
        if (c == '#')
            return false;
    }
    if (c < 0)
        return false;
    if (yaml_break(yaml, 0) > 0) {
        if (!plain_goes_on(yaml))
            return false;
        yaml->many_lines = true;
        put(yaml, ' ');
        return true;
    }
    if (c == ':' && (yaml_blank(yaml, 1) || (yaml_in_flow(yaml) && yaml_flow_indicator(yaml_look(yaml, 1)))))
        return false;
    if (yaml_in_flow(yaml) && yaml_flow_indicator(c))
        return false;
    if (blanks)
        put(yaml, ' ');
    put_next(yaml);
    return true;
}

static void block_begin(struct yaml *yaml)
{
    int c;

    yaml->indent_least = yaml->depth > 0 ? yaml->levels[yaml->depth - 1].column + 1 : 1;
    yaml->indent = SIZE_MAX;
    yaml->line_end = yaml_look(yaml, 0) == '>' ? ' ' : '\n';
    yaml_advance(yaml, 1);
    while ((c = yaml_look(yaml, 0)) == '+' || c == '-' || (c >= '0' && c <= '9')) {
        if (c >= '1')
            yaml->indent = yaml->indent_least + (size_t)(c - '1');
        yaml_advance(yaml, 1);
    }
    while (yaml_look(yaml, 0) >= 0 && yaml_break(yaml, 0) == 0)
        yaml_advance(yaml, 1);
    if (yaml_look(yaml, 0) >= 0)
        yaml_break_take(yaml);
}

/* One step through a block scalar: the indentation of a line, or a byte of it. */
static bool block_step(struct yaml *yaml)
{
    bool begins = yaml->column == 0;

    while (begins && yaml->column < yaml->indent && yaml_look(yaml, 0) == ' ')
        yaml_advance(yaml, 1);
    if (yaml_look(yaml, 0) < 0)
        return false;
    if (yaml_break(yaml, 0) > 0) {
        put(yaml, yaml->line_end);
        yaml_break_take(yaml);
        return true;
    }
    if (begins && yaml->indent == SIZE_MAX)
        yaml->indent = yaml->column > yaml->indent_least ? yaml->column : yaml->indent_least;
    if (begins && yaml->column < yaml->indent)
        return false;
    yaml->first = false;
    put_next(yaml);
    return true;
}

static bool text_step(struct yaml *yaml)
{
    switch ((enum style)yaml->style) {
    case STYLE_SINGLE:
        return quoted_step(yaml, '\'');
    case STYLE_DOUBLE:
        return quoted_step(yaml, '"');
    case STYLE_BLOCK:
        return block_step(yaml);
    case STYLE_PLAIN:
        break;
    }
    return plain_step(yaml);
}

void yaml_text_part(struct yaml *yaml)
{
    yaml->text_length = 0;
    while (yaml->in_text && yaml->text_length < LIMIT_NAME)
        yaml->in_text = text_step(yaml);
    /* Line feeds at the end matter to nobody who looks for names. */
    while (!yaml->in_text && yaml->style == STYLE_BLOCK && yaml->text_length > 0 &&
           yaml->text[yaml->text_length - 1] == yaml->line_end)
        yaml->text_length--;
    yaml->text[yaml->text_length] = '\0';
    yaml->cut = yaml->in_text;
}

void yaml_text_begin(struct yaml *yaml)
{
    int c = yaml_look(yaml, 0);

    yaml->offset = yaml->window_start + yaml->at;
    yaml->many_lines = false;
    yaml->in_text = true;
    yaml->first = false;
    yaml->style = STYLE_PLAIN;
    if (c == '"' || c == '\'') {
        yaml->style = c == '"' ? STYLE_DOUBLE : STYLE_SINGLE;
        yaml_advance(yaml, 1);
    } else if ((c == '|' || c == '>') && !yaml_in_flow(yaml)) {
        yaml->style = STYLE_BLOCK;
        yaml->many_lines = true;
        block_begin(yaml);
    }
    yaml_text_part(yaml);
}

bool yaml_text_quoted(const struct yaml *yaml)
{
    return yaml->style != STYLE_PLAIN;
}
