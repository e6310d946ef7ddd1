/* Text for people, put together in a caller's buffer: no stdio, no locale, no allocation; async-signal-safe. */
#ifndef GUARD_LINE_H
#define GUARD_LINE_H

#include <stddef.h>

/* NUL-terminated at all times once something was put; what does not fit is dropped. `size` counts the NUL, at
 * least 1. */
struct line {
    char *text;
    size_t size, length;
};

void line_put(struct line *line, const char *text);
void line_put_number(struct line *line, unsigned long number);

/* Text that came from a file must not steer a terminal, forge a second line or turn the direction of what stands around
 * it: what line_visible() does not pass comes out as \xNN. */
void line_put_visible(struct line *line, const char *text);

/* The same as one word of a POSIX shell, quoted where it has to be, so that a line can be copied and run. */
void line_put_word(struct line *line, const char *text);

/* Length of the UTF-8 sequence at `text` (NUL-terminated) that may be shown as it is; 0 for control characters, for
 * separators of lines (U+2028, U+2029), for the marks that turn the direction of text (U+202A to U+202E, U+2066 to
 * U+2069), and for what is no UTF-8. */
size_t line_visible(const unsigned char *text);

#endif
