/* Tags, directives and anchors of YAML, as PyYAML's scanner.py reads them. */
#include "yaml_text.h"

#include <string.h>

/* Reads a word up to a blank or `end` into `to`, undoing %xx where `escapes`. Without an `end` (-1) the indicators of a
 * flow collection around it end it too. */
static void word_take(struct yaml *yaml, char *to, size_t size, bool escapes, int end)
{
    bool flow = yaml_in_flow(yaml) && end < 0;
    size_t length = 0;
    int c;

    while ((c = yaml_look(yaml, 0)) >= 0 && c != end && !yaml_blank(yaml, 0) && !(flow && yaml_flow_indicator(c))) {
        int high = c == '%' && escapes ? yaml_hex_digit(yaml_look(yaml, 1)) : -1;
        int low = high >= 0 ? yaml_hex_digit(yaml_look(yaml, 2)) : -1;
        if (low >= 0) {
            c = high << 4 | low;
            yaml_advance(yaml, 2);
        }
        if (length + 1 < size && c != 0)
            to[length++] = (char)c;
        yaml_advance(yaml, 1);
    }
    to[length] = '\0';
}

static const char *handle_prefix(const struct yaml *yaml, const char *name, size_t length)
{
    /* The last one that was said counts. */
    for (unsigned i = yaml->handle_count; i > 0; i--)
        if (strlen(yaml->handles[i - 1].name) == length && memcmp(yaml->handles[i - 1].name, name, length) == 0)
            return yaml->handles[i - 1].prefix;
    return length == 2 ? "tag:yaml.org,2002:" : NULL;
}

void yaml_tag_take(struct yaml *yaml)
{
    char word[LIMIT_NAME];
    const char *prefix = NULL;
    size_t handle = 0;

    yaml->offset = yaml->window_start + yaml->at;
    if (yaml_look(yaml, 1) == '<') {
        yaml_advance(yaml, 2);
        word_take(yaml, word, sizeof(word), true, '>');
        if (yaml_look(yaml, 0) == '>')
            yaml_advance(yaml, 1);
    } else {
        word_take(yaml, word, sizeof(word), true, -1);
        const char *mark = strchr(word + 1, '!');
        handle = mark ? (size_t)(mark - word) + 1 : 1;
        prefix = handle_prefix(yaml, word, handle);
        if (!prefix) {
            handle = handle > 1 && handle_prefix(yaml, word, 1) ? 1 : 0;
            prefix = handle ? handle_prefix(yaml, word, 1) : NULL;
        }
    }
    size_t length = prefix ? strlen(prefix) : 0, rest = strlen(word + (prefix ? handle : 0));
    if (prefix)
        memcpy(yaml->text, prefix, length);
    if (rest > LIMIT_NAME - length)
        rest = LIMIT_NAME - length;
    memcpy(yaml->text + length, word + (prefix ? handle : 0), rest);
    yaml->text_length = length + rest;
    yaml->text[yaml->text_length] = '\0';
    yaml->cut = false;
}

void yaml_directive_take(struct yaml *yaml)
{
    struct yaml_handle *handle = &yaml->handles[yaml->handle_count];
    char word[8];

    yaml_advance(yaml, 1);
    word_take(yaml, word, sizeof(word), false, -1);
    yaml_blanks_skip(yaml);
    if (strcmp(word, "TAG") == 0) {
        word_take(yaml, handle->name, sizeof(handle->name), false, -1);
        yaml_blanks_skip(yaml);
        word_take(yaml, handle->prefix, sizeof(handle->prefix), true, -1);
        if (yaml->handle_count + 1 < LIMIT_YAML_HANDLES)
            yaml->handle_count++;
        else
            yaml->crowded = true;
    }
    while (yaml_look(yaml, 0) >= 0 && yaml_break(yaml, 0) == 0)
        yaml_advance(yaml, 1);
}

void yaml_name_take(struct yaml *yaml, char name[64])
{
    size_t length = 0;
    int c;

    yaml_advance(yaml, 1);
    while ((c = yaml_look(yaml, 0)) >= 0 && !yaml_blank(yaml, 0) && !yaml_flow_indicator(c) &&
           (c != ':' || !yaml_blank(yaml, 1))) {
        if (length + 1 < 64)
            name[length++] = (char)c;
        else
            yaml->crowded = true;
        yaml_advance(yaml, 1);
    }
    name[length] = '\0';
}

void yaml_anchor_put(struct yaml *yaml, bool is_text)
{
    struct yaml_anchor *anchor = NULL;

    if (yaml->crowded) /* which is said, so that nothing hangs on the rest */
        return;
    for (unsigned i = 0; i < yaml->anchor_count && !anchor; i++)
        if (strcmp(yaml->anchors[i].name, yaml->anchor) == 0)
            anchor = &yaml->anchors[i];
    if (!anchor && yaml->anchor_count < LIMIT_YAML_ANCHORS)
        anchor = &yaml->anchors[yaml->anchor_count++];
    if (!anchor) {
        yaml->crowded = true;
        return;
    }
    memcpy(anchor->name, yaml->anchor, sizeof(anchor->name));
    anchor->is_text = is_text;
    anchor->cut = yaml->cut || yaml->text_length >= sizeof(anchor->text);
    anchor->length = anchor->cut ? sizeof(anchor->text) - 1 : yaml->text_length;
    memcpy(anchor->text, yaml->text, anchor->length);
    anchor->text[anchor->length] = '\0';
}

const struct yaml_anchor *yaml_anchor_find(const struct yaml *yaml, const char *name)
{
    for (unsigned i = 0; i < yaml->anchor_count && !yaml->crowded; i++)
        if (strcmp(yaml->anchors[i].name, name) == 0)
            return &yaml->anchors[i];
    return NULL;
}
