/* A policy text becomes a JSON tree, or a fault with line and column. */
#include "position.h"
#include "rules.h"
#include "text.h"

#include <string.h>

static bool fault_at(const struct compiler *compiler, struct position position, const char *message, const char *word,
                     const char *after)
{
    struct policy_fault *fault = compiler->fault;
    struct text name = text_into(fault->name, sizeof fault->name);
    text_add_visible(&name, compiler->text->name);
    struct text text = text_into(fault->message, sizeof fault->message);
    text_add(&text, message);
    if (word != NULL) {
        text_add(&text, " \"");
        text_add_visible(&text, word);
        text_add(&text, "\"");
    }
    text_add(&text, after);
    fault->line = position.line;
    fault->column = position.column;
    return false;
}

bool fault_at_value(const struct compiler *compiler, const cJSON *node, const char *message, const char *word,
                    const char *after)
{
    return fault_at(compiler, position_of_value(compiler->text->text, compiler->text->length, compiler->root, node),
                    message, word, after);
}

bool fault_at_key(const struct compiler *compiler, const cJSON *node, const char *message, const char *word,
                  const char *after)
{
    return fault_at(compiler, position_of_key(compiler->text->text, compiler->text->length, compiler->root, node),
                    message, word, after);
}

/* cJSON ends a string at its first NUL and would compare only that part. The offset of an escaped NUL, or `length`. */
static size_t find_escaped_nul(const char *text, size_t length)
{
    for (size_t at = 0; at + 6 <= length; at++) {
        if (text[at] != '\\')
            continue;
        if (memcmp(text + at, "\\u0000", 6) == 0)
            return at;
        at++;
    }
    return length;
}

/* cJSON keeps the first of two equal keys, most other readers the last; nobody should have to know. */
static bool check_keys(const struct compiler *compiler, const cJSON *value)
{
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        for (const cJSON *other = value->child; cJSON_IsObject(value) && other != child; other = other->next) {
            if (strcmp(other->string, child->string) == 0)
                return fault_at_key(compiler, child, "the key", child->string, " is given twice");
        }
        if (!check_keys(compiler, child))
            return false;
    }
    return true;
}

cJSON *document_parse(struct compiler *compiler, const char *shape)
{
    const struct policy_text *text = compiler->text;
    const char *end = text->text;
    size_t nul = find_escaped_nul(text->text, text->length);
    if (nul < text->length) {
        fault_at(compiler, position_at(text->text, text->length, nul), "a string holds the NUL character", NULL, NULL);
        return NULL;
    }
    cJSON *root = cJSON_ParseWithLengthOpts(text->text, text->length, &end, false);
    size_t offset = end != NULL && end >= text->text ? (size_t)(end - text->text) : 0;
    while (root != NULL && offset < text->length && strchr(" \t\r\n", text->text[offset]) != NULL)
        offset++;
    compiler->root = root;
    if (root == NULL || offset < text->length) {
        fault_at(compiler, position_at(text->text, text->length, offset),
                 root == NULL ? "this is not JSON from here on" : "there is more after the end of the JSON object",
                 NULL, text->length == 0 ? "; the file is empty" : NULL);
    } else if (!cJSON_IsObject(root)) {
        fault_at_value(compiler, root, shape, NULL, NULL);
    } else if (check_keys(compiler, root)) {
        return root;
    }
    cJSON_Delete(root);
    compiler->root = NULL;
    return NULL;
}

bool check_strings(const struct compiler *compiler, const cJSON *node)
{
    if (cJSON_IsString(node))
        return true;
    if (!cJSON_IsArray(node))
        return fault_at_value(compiler, node, "the value of", node->string, " is a string or a list of strings");
    for (const cJSON *item = node->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item))
            return fault_at_value(compiler, item, "every member of", node->string, " is a string");
    }
    return true;
}
