/* A streaming YAML reader that tells keys, texts and tags, in constant memory.
 *
 * No full YAML parser: it says nothing of numbers, times and empty values, and reads on where a parser would give up.
 * What it knows is what decides whether a word is a key, a text, a tag or merely mentioned: indentation, flow
 * collections, quoting and its escapes, block scalars, comments, `?` keys, anchors and aliases of texts, %TAG handles
 * and verbatim tags, several documents. Followed: PyYAML's scanner.py and parser.py, and ruamel.yaml's where that
 * accepts more. Duplicate keys come as they stand, as in json.h. Bytes are taken for UTF-8. */
#ifndef GUARD_YAML_H
#define GUARD_YAML_H

#include "json.h"

struct yaml_level;
struct yaml_anchor;
struct yaml_handle;

struct yaml {
    /* What the last event was about, as in struct json. Events are json.h's, and JSON_TAG in front of what has a tag.
     * JSON_NUMBER does not come; JSON_TRUE, JSON_FALSE and JSON_NULL only for these words themselves. */
    char text[LIMIT_NAME + 8]; /* JSON_TAG: resolved ("tag:yaml.org,2002:str", "!new:os.system") */
    size_t text_length;
    bool cut;
    uint64_t offset;
    unsigned depth;
    enum json_error error;
    bool alias;    /* JSON_NULL: an object or array that stands elsewhere */
    bool plain;    /* JSON_STRING: without quotes */
    bool wide;     /* it begins like UTF-16, of which nothing is told */
    bool crowded;  /* more anchors than LIMIT_YAML_ANCHORS: aliases may mean what was not told */

    /* Private from here. */
    struct reader reader;
    struct way way;
    struct yaml_level *levels;
    struct yaml_anchor *anchors;
    struct yaml_handle *handles;
    unsigned anchor_count, handle_count;
    const unsigned char *window; /* what lies ready; `at`: the next byte of it */
    size_t window_length, at;
    uint64_t window_start;
    size_t column;      /* of the next byte in its line */
    bool first;         /* nothing but indicators that open blocks stands before it in its line */
    bool front_matter, ended;
    bool held;          /* the first key of a block that was just opened is still to tell */
    bool explicit_key;  /* behind a "?" */
    bool closing;       /* blocks are being closed, down to close_to */
    unsigned close_to;
    size_t node_column; /* where the node at hand begins, when tags or anchors stand before it in its line; else
                           SIZE_MAX */
    char anchor[64];    /* of the node at hand */
    bool anchor_above;  /* it stands in a line above */
    unsigned style;     /* of the text being read */
    bool in_text;       /* more of it is to come */
    bool many_lines;
    size_t indent;      /* of a block scalar; SIZE_MAX: its first line says */
    size_t indent_least;
    char line_end;      /* what its lines are joined by */
};

/* Starts reading all of `source`. False: no memory. */
bool yaml_open(struct yaml *yaml, struct arena *arena, const struct source *source);

/* The same, of the front matter of a Markdown text: what stands between two lines "---" at its head. A text without is
 * finished at once. */
bool yaml_open_front_matter(struct yaml *yaml, struct arena *arena, const struct source *source);

enum json_event yaml_next(struct yaml *yaml);

#endif
