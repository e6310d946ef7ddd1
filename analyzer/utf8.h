/* Code points in escapes and wide texts, written as UTF-8. */
#ifndef GUARD_UTF8_H
#define GUARD_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Writes `point` as UTF-8, surrogates included; U+0000 in two bytes, so that texts stay C strings. */
static inline size_t utf8_put(unsigned char *out, uint32_t point)
{
    if (point != 0 && point < 0x80) {
        out[0] = (unsigned char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (unsigned char)(0xC0 | point >> 6);
        out[1] = (unsigned char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (unsigned char)(0xE0 | point >> 12);
        out[1] = (unsigned char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (unsigned char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (unsigned char)(0xF0 | point >> 18);
    out[1] = (unsigned char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (unsigned char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (unsigned char)(0x80 | (point & 0x3F));
    return 4;
}

#endif
