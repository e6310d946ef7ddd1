/* Inside yaml*.c only: bytes, texts and tags. */
#ifndef GUARD_YAML_TEXT_H
#define GUARD_YAML_TEXT_H

#include "yaml.h"

enum yaml_kind { YAML_BLOCK_MAP, YAML_BLOCK_SEQUENCE, YAML_FLOW_MAP, YAML_FLOW_SEQUENCE, YAML_FLOW_PAIR };

struct yaml_level {
    enum yaml_kind kind;
    size_t column; /* of a block */
    bool keyed;    /* in a flow map: the key has come, its value is next */
};

struct yaml_anchor {
    char name[64];
    char text[LIMIT_ARGUMENT_TEXT];
    size_t length;
    bool is_text, cut;
};

struct yaml_handle {
    char name[32], prefix[96];
};

/* The byte `ahead` (below 16) of the next one; -1 at the end. */
int yaml_look(struct yaml *yaml, size_t ahead);
/* Moves over `count` bytes, none of them of a line break. */
void yaml_advance(struct yaml *yaml, size_t count);
/* Length of the line break that begins `ahead`, or 0. */
size_t yaml_break(struct yaml *yaml, size_t ahead);
/* Is there a blank, a line break or the end? */
bool yaml_blank(struct yaml *yaml, size_t ahead);
/* Does the line begin with "---" or "..."? */
bool yaml_document_marker(struct yaml *yaml);
/* Moves over a line break. */
void yaml_break_take(struct yaml *yaml);
/* Moves over spaces and tabs. */
void yaml_blanks_skip(struct yaml *yaml);

bool yaml_in_flow(const struct yaml *yaml);

static inline bool yaml_flow_indicator(int c)
{
    return c == ',' || c == '[' || c == ']' || c == '{' || c == '}';
}

/* -1: no digit. */
static inline int yaml_hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Begins the text at the next byte and reads its first part; yaml_text_part() reads the next while in_text. */
void yaml_text_begin(struct yaml *yaml);
void yaml_text_part(struct yaml *yaml);
/* Did the last text stand in quotes? */
bool yaml_text_quoted(const struct yaml *yaml);

/* Reads a tag into `text`, resolved. */
void yaml_tag_take(struct yaml *yaml);
/* Reads a line "%TAG ..." or another directive. */
void yaml_directive_take(struct yaml *yaml);

/* Reads "&name" or "*name" into `name`. */
void yaml_name_take(struct yaml *yaml, char name[64]);
/* Remembers what the pending anchor stands for. */
void yaml_anchor_put(struct yaml *yaml, bool is_text);
/* What `name` stands for, or NULL. */
const struct yaml_anchor *yaml_anchor_find(const struct yaml *yaml, const char *name);

#endif
