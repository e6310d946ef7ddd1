/* Text into a caller's buffer without stdio: NUL-terminated always, cut where it does not fit. */
#ifndef GUARD_POLICY_TEXT_H
#define GUARD_POLICY_TEXT_H

#include <stddef.h>

struct text {
    char *buffer;
    size_t size;   /* of the buffer; 0: nothing is written at all */
    size_t length; /* without the NUL */
};

struct text text_into(char *buffer, size_t size);
void text_add(struct text *text, const char *more); /* NULL adds nothing */
void text_add_bytes(struct text *text, const char *more, size_t length);
void text_add_number(struct text *text, unsigned long number);
/* As people may safely see it on a terminal: control bytes come out as \xNN. */
void text_add_visible(struct text *text, const char *more);

#endif
