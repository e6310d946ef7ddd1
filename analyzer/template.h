/* Chat templates: looks for what only an escape from the Jinja sandbox needs. */
#ifndef GUARD_TEMPLATE_H
#define GUARD_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

/* A template being read in pieces. Zero it to start. */
struct template_scan {
    char word[24];      /* the identifier that is running, or its start */
    size_t word_length; /* of the whole identifier */
    char recent[12];    /* the last bytes, for escapes inside string literals */
    unsigned filter;    /* how far `|attr("name")` has been read */
    char quote;         /* of attr's argument */
};

/* Reads the next piece (UTF-8). Returns what was found, a static string such as "__class__", or NULL for nothing so
 * far.
 *
 * Found are: the attributes through which objects reach classes, globals and modules; underscores written as an escape;
 * and the filter `attr` with anything but one plain name, for which templates have the dot. Ordinary templates hold
 * none of these, though they may hold words such as `__media__`. */
const char *template_scan(struct template_scan *scan, const char *text, size_t length);

#endif
