/* Chat templates: looks for what only an escape from the Jinja sandbox needs, and for what reaches out of
 * the template. */
#ifndef GUARD_TEMPLATE_H
#define GUARD_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

/* A template being read in pieces. Zero it to start. */
struct template_scan {
    unsigned mode;      /* text, expression, statement, comment or raw text */
    bool raw;           /* a statement begins inside raw text */
    bool first_word;    /* of a statement is still to come */
    bool begins_raw;    /* the statement is `raw` */
    unsigned brackets;  /* open ones of an expression */
    char last;          /* byte */
    char sign;          /* last byte that is neither white space nor of the word that is running */
    char quote;         /* the string that is open, or 0 */
    bool escaped;       /* a backslash stands before the next byte of it */
    size_t string_length;
    char before;        /* byte in front of the word that is running, 0 at the start of a string */
    char word[24];      /* the identifier that is running, or its start */
    size_t word_length; /* of the whole identifier */
    bool map;           /* the last whole identifier was `map` */
    char recent[12];    /* the last bytes, for escapes inside string literals */
    unsigned filter;    /* how far `|attr("name")` has been read */
    char filter_quote;  /* of attr's argument */
};

/* Reads the next piece (UTF-8). Returns what was found, a static string such as "__class__", or NULL for nothing so
 * far.
 *
 * Found are, in expressions and statements only: the attributes through which objects reach classes, globals and
 * modules, as names and as what strings spell out for subscripts and format(); underscores written as an escape or put
 * together from characters; the filter `attr` with anything but one plain name, for which templates have the dot;
 * Jinja's own global functions that are good for nothing else in a chat; and statements that pull in other templates.
 * Text that merely mentions these is not, nor are words such as `__media__`. */
const char *template_scan(struct template_scan *scan, const char *text, size_t length);

/* "template-escape" or "template-include": the effect that what was found has. */
const char *template_effect(const char *found);

#endif
