#include "text.h"

#include <string.h>

struct text text_into(char *buffer, size_t size)
{
    if (size > 0)
        buffer[0] = '\0';
    return (struct text){.buffer = buffer, .size = size};
}

void text_add_bytes(struct text *text, const char *more, size_t length)
{
    if (text->size == 0)
        return;
    size_t room = text->size - 1 - text->length;
    if (length > room)
        length = room;
    memcpy(text->buffer + text->length, more, length);
    text->length += length;
    text->buffer[text->length] = '\0';
}

void text_add(struct text *text, const char *more)
{
    if (more != NULL)
        text_add_bytes(text, more, strlen(more));
}

void text_add_number(struct text *text, unsigned long number)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    text_add_bytes(text, digits + at, sizeof digits - at);
}

void text_add_visible(struct text *text, const char *more)
{
    static const char hex[] = "0123456789abcdef";
    for (; more != NULL && *more != '\0'; more++) {
        unsigned char byte = (unsigned char)*more;
        if (byte >= 0x20 && byte != 0x7f) {
            text_add_bytes(text, more, 1);
        } else {
            char escape[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
            text_add_bytes(text, escape, sizeof escape);
        }
    }
}
