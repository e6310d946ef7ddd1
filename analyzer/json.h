/* A streaming JSON reader that accepts what CPython's json module accepts, in constant memory.
 *
 * Followed: Lib/json/__init__.py (detect_encoding), Lib/json/scanner.py and Modules/_json.c. So: NaN, Infinity and
 * -Infinity are values; lone surrogates are kept; escapes count in keys too; a control character in a string, a
 * trailing comma and anything after the value are errors. Duplicate keys come as they stand: Python keeps the last,
 * other readers the first, so the user of this reader sees both.
 *
 * Where json.load() of a text file and json.loads() of bytes differ, the more accepting one counts: a byte order mark
 * and UTF-16 or UTF-32 are read, and bytes that are no UTF-8 pass through a string as they are. */
#ifndef GUARD_JSON_H
#define GUARD_JSON_H

#include "format.h"
#include "reader.h"
#include "way.h"

enum json_event {
    JSON_FAILED,   /* `error` says why; comes again on every further call */
    JSON_FINISHED, /* the one value is complete and nothing but white space follows; comes again likewise */
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,         /* text; `cut` when longer than what is kept */
    JSON_STRING,      /* text: the start of the string, up to LIMIT_NAME bytes */
    JSON_STRING_MORE, /* text: what follows in the same string */
    JSON_NUMBER,      /* `number`, when it is `whole` */
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_TAG /* never in JSON: see yaml.h */
};

enum json_error {
    JSON_ERROR_NONE,
    JSON_ERROR_SYNTAX, /* Python's json would raise */
    JSON_ERROR_DEPTH,  /* deeper than LIMIT_JSON_DEPTH: CPython 3.8-3.11 raise near 1000 levels, later ones go on */
    JSON_ERROR_IO      /* reader.error holds the errno */
};

struct json {
    /* What the last event was about. */
    char text[LIMIT_NAME + 8]; /* NUL-terminated. U+0000 is kept as C0 80, a lone surrogate as its three WTF-8 bytes */
    size_t text_length;
    bool cut;        /* JSON_KEY, JSON_STRING: the text goes on beyond what is here */
    uint64_t offset; /* where the event's value or key starts; in UTF-16 and UTF-32 up to 256 bytes early */
    unsigned depth;  /* of open objects and arrays, the one just opened included */
    enum json_error error;
    uint64_t number;
    bool whole;      /* JSON_NUMBER: written without sign, point and exponent, and it fits */

    /* Private from here. */
    struct reader reader;
    const unsigned char *next, *end; /* decoded bytes that are ready */
    uint64_t next_offset;            /* source offset of `next` at the last fill */
    const unsigned char *filled;     /* `next` at the last fill */
    size_t unskipped; /* bytes of the reader's window that `next..end` shows and that are still to skip */
    unsigned unit;    /* bytes a code unit: 1, 2 or 4 */
    bool big_endian;
    unsigned char wide[64]; /* UTF-8 made from wider units */
    unsigned expect;
    bool in_string;
    unsigned high; /* the text ends in this high surrogate, still without its other half */
    struct way way;
};

/* Starts reading all of `source`. Takes about 100 KiB from the arena. False: no memory. */
bool json_open(struct json *json, struct arena *arena, const struct source *source);

enum json_event json_next(struct json *json);

/* The way to the present value, as way_text() writes it. */
size_t json_path(const struct json *json, char *buffer, size_t size);

/* For bidders: the head of a text without what UTF-16 and UTF-32 put between its ASCII characters. `narrow` (SCAN_HEAD
 * bytes) is used when it is wide. */
const unsigned char *json_head(const struct bid_view *view, unsigned char *narrow, size_t *length);

/* Is the text of the last event exactly `word`? */
bool json_text_is(const struct json *json, const char *word);

#endif
