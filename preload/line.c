#include "line.h"

#include "decimal.h"

#include <stdbool.h>
#include <string.h>

static void put_bytes(struct line *line, const char *text, size_t length)
{
    if (length >= line->size - line->length)
        return;
    memcpy(line->text + line->length, text, length);
    line->length += length;
    line->text[line->length] = '\0';
}

void line_put(struct line *line, const char *text)
{
    while (*text != '\0' && line->length + 1 < line->size)
        line->text[line->length++] = *text++;
    line->text[line->length] = '\0';
}

void line_put_number(struct line *line, unsigned long number)
{
    char digits[DECIMAL_SIZE];

    line_put(line, decimal(number, digits));
}

size_t line_visible(const unsigned char *text)
{
    size_t length = text[0] < 0x80   ? 1
                    : text[0] < 0xC2 ? 0
                    : text[0] < 0xE0 ? 2
                    : text[0] < 0xF0 ? 3
                    : text[0] < 0xF5 ? 4
                                     : 0;

    if (text[0] < 0x20 || text[0] == 0x7F)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    if ((text[0] == 0xC2 && text[1] < 0xA0) || /* C1 controls */
        (text[0] == 0xE2 && ((text[1] == 0x80 && text[2] >= 0xA8 && text[2] <= 0xAE) ||
                             (text[1] == 0x81 && text[2] >= 0xA6 && text[2] <= 0xA9))))
        return 0;
    return length;
}

static void put_foreign(struct line *line, const char *text, bool quoted)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        size_t length = line_visible(at);
        const char escaped[] = {'\\', 'x', hex[*at >> 4], hex[*at & 15]};

        if (length == 0)
            put_bytes(line, escaped, sizeof(escaped));
        else if (quoted && *at == '\'')
            put_bytes(line, "'\\''", 4);
        else
            put_bytes(line, (const char *)at, length);
        at += length > 0 ? length : 1;
    }
}

void line_put_visible(struct line *line, const char *text)
{
    put_foreign(line, text, false);
}

void line_put_word(struct line *line, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:@%+=,";
    bool quoted = text[0] == '\0' || text[strspn(text, plain)] != '\0';

    line_put(line, quoted ? "'" : "");
    put_foreign(line, text, quoted);
    line_put(line, quoted ? "'" : "");
}
