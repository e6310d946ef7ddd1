#include "template.h"

#include <string.h>

/* From jinja2/sandbox.py (UNSAFE_*_ATTRIBUTES) and from published escapes (CVE-2019-10906, CVE-2024-34359,
 * CVE-2025-27516). */
static const char *const escapes[] = {
    "__class__",  "__base__",      "__bases__", "__mro__",    "__subclasses__",   "__globals__", "__builtins__",
    "__import__", "__init__",      "__new__",   "__dict__",   "__getattribute__", "__getattr__", "__getitem__",
    "__code__",   "__closure__",   "__func__",  "__self__",   "__module__",       "__loader__",  "__spec__",
    "__reduce__", "__reduce_ex__", "__call__",  "gi_frame",   "gi_code",          "cr_frame",    "cr_code",
    "ag_frame",   "ag_code",       "f_globals", "f_builtins", "f_locals",         "f_back",      "tb_frame",
};

/* Names that every Jinja environment has (defaults.py), and that reach the modules they come from. */
static const char *const globals[] = {"lipsum", "cycler", "joiner", "self"};

/* Statements that pull in other templates. */
static const char *const includes[] = {"include", "import", "extends", "from"};
static const char include_found[] = "{% include";

/* An underscore inside a string literal that does not want to be seen. */
static const char *const underscores[] = {"\\x5f", "\\u005f", "\\U0000005f", "\\137", "\\N{LOW LINE"};

enum mode { MODE_TEXT, MODE_EXPRESSION, MODE_STATEMENT, MODE_COMMENT, MODE_RAW };
enum filter { FILTER_NONE, FILTER_PIPE, FILTER_ATTR, FILTER_OPEN, FILTER_NAME_START, FILTER_NAME, FILTER_NAME_END };

const char *template_effect(const char *found)
{
    return found == include_found ? "template-include" : "template-escape";
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool word_is(const struct template_scan *scan, const char *word)
{
    return strlen(word) == scan->word_length && memcmp(word, scan->word, scan->word_length) == 0;
}

static const char *word_among(const struct template_scan *scan, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count && scan->word_length <= sizeof(scan->word); i++)
        if (word_is(scan, words[i]))
            return words[i];
    return NULL;
}

/* The first word of a statement. */
static const char *statement_begin(struct template_scan *scan)
{
    scan->first_word = false;
    if (scan->raw) {
        scan->mode = word_is(scan, "endraw") ? MODE_STATEMENT : MODE_RAW;
        scan->raw = scan->mode == MODE_RAW;
        return NULL;
    }
    scan->begins_raw = word_is(scan, "raw");
    return word_among(scan, includes, sizeof(includes) / sizeof(*includes)) ? include_found : NULL;
}

/* The identifier in scan->word has ended. */
static const char *word_end(struct template_scan *scan)
{
    const char *found = NULL;
    size_t length = scan->word_length;

    if (length == 0)
        return NULL;
    if (scan->filter == FILTER_PIPE)
        scan->filter = word_is(scan, "attr") ? FILTER_ATTR : FILTER_NONE;
    if (scan->quote) {
        /* Text may speak of __init__; only by itself, or behind what format() and subscripts know, does it reach it. */
        bool reaches = scan->before == '\0' || strchr(".[{!'\"", scan->before) != NULL;
        found = reaches ? word_among(scan, escapes, sizeof(escapes) / sizeof(*escapes)) : NULL;
        if (scan->map && scan->string_length == length && word_is(scan, "attr"))
            found = "|map('attr'";
    } else if (scan->first_word) {
        found = statement_begin(scan);
    } else {
        found = word_among(scan, escapes, sizeof(escapes) / sizeof(*escapes));
        if (!found && scan->before != '.' && scan->sign != '.' && scan->sign != '|')
            found = word_among(scan, globals, sizeof(globals) / sizeof(*globals));
        scan->map = word_is(scan, "map");
    }
    scan->word_length = 0;
    return found;
}

/* Follows `| attr ( "name" )`; anything else in the brackets is found. `c` is no part of an identifier unless inside
 * the quotes. */
static bool filter_step(struct template_scan *scan, char c)
{
    switch ((enum filter)scan->filter) {
    case FILTER_NAME_START:
        scan->filter = FILTER_NAME;
        return !is_word(c) || c == '_';
    case FILTER_NAME:
        if (c == scan->filter_quote)
            scan->filter = FILTER_NAME_END;
        return c != scan->filter_quote && !is_word(c);
    default:
        break;
    }
    if (is_space(c))
        return false;
    switch ((enum filter)scan->filter) {
    case FILTER_ATTR:
        scan->filter = c == '(' ? FILTER_OPEN : c == '|' ? FILTER_PIPE : FILTER_NONE;
        return false;
    case FILTER_OPEN:
        scan->filter_quote = c;
        scan->filter = FILTER_NAME_START;
        return c != '"' && c != '\'';
    case FILTER_NAME_END:
        scan->filter = FILTER_NONE;
        return c != ')';
    default:
        scan->filter = c == '|' ? FILTER_PIPE : FILTER_NONE;
        return false;
    }
}

static const char *underscore_hidden(const struct template_scan *scan)
{
    for (size_t i = 0; i < sizeof(underscores) / sizeof(*underscores); i++) {
        const char *hidden = underscores[i];
        size_t length = strlen(hidden), same = 0;
        const char *end = scan->recent + sizeof(scan->recent) - length;
        while (same < length && (end[same] == hidden[same] || (end[same] | 0x20) == hidden[same]))
            same++;
        if (same == length)
            return hidden;
    }
    return NULL;
}

/* A byte inside a string literal; its quotes are none. */
static const char *string_step(struct template_scan *scan, char c)
{
    const char *found = NULL;

    if (c == 'f' || c == 'F' || c == '7' || c == 'E')
        found = underscore_hidden(scan);
    if (!found && c == 'c' && scan->last == '%' && scan->string_length == 2)
        found = "%c"; /* characters made of numbers */
    if (!found && c == '}' && scan->recent[sizeof(scan->recent) - 2] == 'c' &&
        scan->recent[sizeof(scan->recent) - 3] == ':')
        found = ":c}";
    return found;
}

/* What opens or closes expressions and strings. Returns the byte that the next one is to be seen behind: one that has
 * closed something closes nothing else together with the next. */
static char mode_step(struct template_scan *scan, char c)
{
    char end = scan->mode == MODE_STATEMENT ? '%' : scan->mode == MODE_COMMENT ? '#' : '}';
    bool inside = scan->mode == MODE_EXPRESSION || scan->mode == MODE_STATEMENT;

    if (!inside && scan->mode != MODE_COMMENT) {
        if (scan->last != '{' || (scan->mode == MODE_RAW && c != '%') || (c != '{' && c != '%' && c != '#'))
            return c;
        scan->raw = scan->mode == MODE_RAW;
        scan->mode = c == '{' ? MODE_EXPRESSION : c == '%' ? MODE_STATEMENT : MODE_COMMENT;
        scan->first_word = c == '%';
        scan->brackets = 0;
        scan->sign = scan->before = ' ';
        scan->filter = FILTER_NONE;
        scan->map = scan->begins_raw = false;
        return '\0';
    }
    if (c == '}' && scan->last == end && scan->brackets == 0) {
        scan->mode = scan->begins_raw && scan->mode == MODE_STATEMENT ? MODE_RAW : MODE_TEXT;
        scan->begins_raw = false;
        return '\0';
    }
    if (!inside)
        return c;
    if (c == '"' || c == '\'') {
        scan->quote = c;
        scan->string_length = 0;
        scan->escaped = false;
    } else if (c == '{' || c == '[' || c == '(') {
        scan->brackets++;
    } else if ((c == '}' || c == ']' || c == ')') && scan->brackets > 0) {
        scan->brackets--;
        return '\0';
    }
    return c;
}

/* A byte of an expression or statement. */
static const char *inside_step(struct template_scan *scan, char c)
{
    const char *found = NULL;
    bool string = scan->quote != '\0';

    if (string && !scan->escaped && c == scan->quote) {
        found = word_end(scan);
        scan->quote = '\0';
        scan->map = false;
        scan->sign = c;
    } else if (string) {
        scan->string_length++;
        found = string_step(scan, c);
        scan->escaped = c == '\\' && !scan->escaped;
    }
    if (!found && is_word(c)) {
        if (scan->word_length == 0)
            scan->before = string && scan->string_length == 1 ? '\0' : scan->last;
        if (scan->word_length < sizeof(scan->word))
            scan->word[scan->word_length] = c;
        scan->word_length++;
        if (scan->filter >= FILTER_OPEN && filter_step(scan, c))
            found = "|attr(";
        return found;
    }
    if (!found)
        found = word_end(scan);
    if (!found && filter_step(scan, c))
        found = "|attr(";
    if (!string && !is_space(c))
        scan->sign = c;
    return found;
}

const char *template_scan(struct template_scan *scan, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool inside = scan->mode == MODE_EXPRESSION || scan->mode == MODE_STATEMENT, string = scan->quote != '\0';
        const char *found = NULL;
        memmove(scan->recent, scan->recent + 1, sizeof(scan->recent) - 1);
        scan->recent[sizeof(scan->recent) - 1] = c;
        if (inside)
            found = inside_step(scan, c);
        if (found)
            return found;
        scan->last = string ? c : mode_step(scan, c);
    }
    return NULL;
}
