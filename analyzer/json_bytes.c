#include "json_bytes.h"

#include "utf8.h"

#include <string.h>

/* Lib/json/__init__.py, detect_encoding(). */
void json_bytes_begin(struct json *json)
{
    size_t got = 0;
    const unsigned char *head = reader_peek(&json->reader, 1, &got);
    unsigned char first[4] = {0};
    unsigned mark = 0;

    json->unit = 1;
    if (head == NULL)
        return;
    if (got < sizeof(first)) {
        const unsigned char *more = reader_peek(&json->reader, sizeof(first), &got);
        head = more != NULL ? more : reader_peek(&json->reader, 1, &got);
        if (head == NULL)
            return;
    }
    memcpy(first, head, got < sizeof(first) ? got : sizeof(first));
    if (got >= 4 && memcmp(first, "\0\0\xFE\xFF", 4) == 0) {
        json->unit = mark = 4;
        json->big_endian = true;
    } else if (got >= 4 && memcmp(first, "\xFF\xFE\0\0", 4) == 0) {
        json->unit = mark = 4;
    } else if (got >= 2 && (memcmp(first, "\xFE\xFF", 2) == 0 || memcmp(first, "\xFF\xFE", 2) == 0)) {
        json->unit = mark = 2;
        json->big_endian = first[0] == 0xFE;
    } else if (got >= 3 && memcmp(first, "\xEF\xBB\xBF", 3) == 0) {
        mark = 3;
    } else if (got >= 2 && first[0] == 0) {
        json->unit = got < 4 || first[1] != 0 ? 2 : 4;
        json->big_endian = true;
    } else if (got >= 2 && first[1] == 0) {
        json->unit = got < 4 || first[2] != 0 || first[3] != 0 ? 2 : 4;
    }
    (void)reader_skip(&json->reader, mark);
}

/* The code unit at `bytes`. */
static uint32_t unit_load(const struct json *json, const unsigned char *bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < json->unit; i++)
        value |= (uint32_t)bytes[json->big_endian ? json->unit - 1 - i : i] << 8 * i;
    return value;
}

/* One code point of a UTF-16 or UTF-32 source. False at the end, or at a unit that is cut off or no code point. */
static bool point_take(struct json *json, uint32_t *point)
{
    unsigned char bytes[4];
    size_t got;

    if (!reader_bytes(&json->reader, bytes, json->unit))
        return false;
    *point = unit_load(json, bytes);
    if (json->unit == 2 && *point >= 0xD800 && *point < 0xDC00) {
        const unsigned char *peeked = reader_peek(&json->reader, 2, &got);
        uint32_t low = peeked != NULL ? unit_load(json, peeked) : 0;
        if (low >= 0xDC00 && low < 0xE000) {
            *point = 0x10000 + ((*point - 0xD800) << 10) + (low - 0xDC00);
            (void)reader_skip(&json->reader, 2);
        }
    }
    if (*point < 0x110000)
        return true;
    json->reader.position = json->reader.end; /* nothing behind it is asked for again */
    return false;
}

bool json_fill(struct json *json)
{
    size_t length = 0;

    if (json->unskipped > 0)
        (void)reader_skip(&json->reader, json->unskipped);
    json->unskipped = 0;
    json->next_offset = json->reader.position;
    if (json->unit == 1) {
        json->next = reader_peek(&json->reader, 1, &length);
        if (json->next == NULL)
            length = 0;
        json->unskipped = length;
    } else {
        uint32_t point;
        while (length + 4 <= sizeof(json->wide) && point_take(json, &point)) {
            if (point == 0) { /* outside a string an error anyway; inside one a control character, equally so */
                json->wide[length++] = 0;
                continue;
            }
            length += utf8_put(json->wide + length, point);
        }
        json->next = json->wide;
    }
    json->filled = json->next;
    json->end = length > 0 ? json->next + length : json->next;
    return length > 0;
}
