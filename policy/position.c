#include "position.h"

#include <stdbool.h>
#include <string.h>

struct position position_at(const char *text, size_t length, size_t offset)
{
    struct position position = {.offset = offset < length ? offset : length, .line = 1, .column = 1};
    for (size_t at = 0; at < position.offset; at++) {
        position.column++;
        if (text[at] == '\n') {
            position.line++;
            position.column = 1;
        }
    }
    return position;
}

/* How many values stand before `node` in the text. Counts up in *count; true once `node` is met. The depth is bounded
 * by CJSON_NESTING_LIMIT. */
static bool count_before(const cJSON *value, const cJSON *node, size_t *count)
{
    if (value == node)
        return true;
    ++*count;
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        if (count_before(child, node, count))
            return true;
    }
    return false;
}

/* The offset after the string that begins at `at`. */
static size_t skip_string(const char *text, size_t length, size_t at)
{
    for (at++; at < length && text[at] != '"'; at++) {
        if (text[at] == '\\')
            at++;
    }
    return at < length ? at + 1 : length;
}

/* Finds the value with `before` values in front of it, in a text that is known to be valid JSON. */
static void find_value(const char *text, size_t length, size_t before, size_t *key, size_t *value)
{
    bool after_key = false;
    size_t last_key = 0;
    for (size_t at = 0; at < length;) {
        size_t start = at;
        if (strchr(" \t\r\n,:]}", text[at]) != NULL || (unsigned char)text[at] < ' ' ||
            (unsigned char)text[at] >= 0x80) {
            at++;
            continue;
        }
        if (text[at] == '"') {
            at = skip_string(text, length, at);
            size_t next = at;
            while (next < length && (unsigned char)text[next] <= ' ')
                next++;
            if (next < length && text[next] == ':') {
                last_key = start;
                after_key = true;
                continue;
            }
        } else if (text[at] == '{' || text[at] == '[') {
            at++;
        } else {
            while (at < length && strchr(" \t\r\n,:]}", text[at]) == NULL)
                at++;
        }
        if (before-- == 0) {
            *value = start;
            *key = after_key ? last_key : start;
            return;
        }
        after_key = false;
    }
    *key = *value = length;
}

struct position position_of_value(const char *text, size_t length, const cJSON *root, const cJSON *node)
{
    size_t before = 0, key, value;
    (void)count_before(root, node, &before);
    find_value(text, length, before, &key, &value);
    return position_at(text, length, value);
}

struct position position_of_key(const char *text, size_t length, const cJSON *root, const cJSON *node)
{
    size_t before = 0, key, value;
    (void)count_before(root, node, &before);
    find_value(text, length, before, &key, &value);
    return position_at(text, length, key);
}
