/* Numbers as text, without stdio. */
#ifndef GUARD_DECIMAL_H
#define GUARD_DECIMAL_H

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

#endif
