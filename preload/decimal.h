/* Numbers as text, without stdio. */
#ifndef GUARD_DECIMAL_H
#define GUARD_DECIMAL_H

#include <string.h>

#define DECIMAL_SIZE 24 /* 2^64 has 20 digits */

/* `number` in decimal, NUL-terminated, at the end of `digits`; returns where it begins. Async-signal-safe. */
static inline const char *decimal(unsigned long number, char digits[DECIMAL_SIZE])
{
    unsigned at = DECIMAL_SIZE;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
    } while ((number /= 10));
    return digits + at;
}

/* A path that leads to what the descriptor `fd` is open on. */
#define DESCRIPTOR_LINK_SIZE (sizeof "/proc/self/fd/" + DECIMAL_SIZE)
static inline const char *descriptor_link(int fd, char link[DESCRIPTOR_LINK_SIZE])
{
    char digits[DECIMAL_SIZE];
    strcpy(link, "/proc/self/fd/");
    return strcat(link, decimal((unsigned)fd, digits));
}

#endif
