#include "template.h"

#include <string.h>

/* From jinja2/sandbox.py (UNSAFE_*_ATTRIBUTES) and from published escapes (CVE-2019-10906, CVE-2024-34359). */
static const char *const escapes[] = {
    "__class__",  "__base__",      "__bases__", "__mro__",    "__subclasses__",   "__globals__", "__builtins__",
    "__import__", "__init__",      "__new__",   "__dict__",   "__getattribute__", "__getattr__", "__getitem__",
    "__code__",   "__closure__",   "__func__",  "__self__",   "__module__",       "__loader__",  "__spec__",
    "__reduce__", "__reduce_ex__", "__call__",  "gi_frame",   "gi_code",          "cr_frame",    "cr_code",
    "ag_frame",   "ag_code",       "f_globals", "f_builtins", "f_locals",         "f_back",      "tb_frame",
};

/* An underscore inside a string literal that does not want to be seen. */
static const char *const underscores[] = {"\\x5f", "\\u005f", "\\U0000005f", "\\137", "\\N{LOW LINE"};

enum filter { FILTER_NONE, FILTER_PIPE, FILTER_ATTR, FILTER_OPEN, FILTER_NAME_START, FILTER_NAME, FILTER_NAME_END };

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* The identifier in scan->word has ended. */
static const char *word_end(struct template_scan *scan)
{
    size_t length = scan->word_length;

    scan->word_length = 0;
    if (scan->filter == FILTER_PIPE && length > 0)
        scan->filter = length == 4 && memcmp(scan->word, "attr", 4) == 0 ? FILTER_ATTR : FILTER_NONE;
    if (length == 0 || length > sizeof(scan->word))
        return NULL;
    for (size_t i = 0; i < sizeof(escapes) / sizeof(*escapes); i++)
        if (strlen(escapes[i]) == length && memcmp(escapes[i], scan->word, length) == 0)
            return escapes[i];
    return NULL;
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
        if (c == scan->quote)
            scan->filter = FILTER_NAME_END;
        return c != scan->quote && !is_word(c);
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
        scan->quote = c;
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

const char *template_scan(struct template_scan *scan, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        const char *found = NULL;
        memmove(scan->recent, scan->recent + 1, sizeof(scan->recent) - 1);
        scan->recent[sizeof(scan->recent) - 1] = c;
        if (c == 'f' || c == 'F' || c == '7' || c == 'E')
            found = underscore_hidden(scan);
        if (!found && is_word(c)) {
            if (scan->word_length < sizeof(scan->word))
                scan->word[scan->word_length] = c;
            scan->word_length++;
            if (scan->filter >= FILTER_OPEN && filter_step(scan, c))
                found = "|attr(";
        } else if (!found) {
            found = word_end(scan);
            if (!found && filter_step(scan, c))
                found = "|attr(";
        }
        if (found)
            return found;
    }
    return NULL;
}
