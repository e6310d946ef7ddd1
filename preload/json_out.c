#include "json_out.h"

#include <string.h>

void json_out_start(struct json_out *out, char *buffer, size_t size)
{
    *out = (struct json_out){.buffer = buffer, .size = size};
    if (size > 0)
        buffer[0] = '\0';
}

static void put(struct json_out *out, const char *text, size_t length)
{
    memcpy(out->buffer + out->length, text, length);
    out->length += length;
    out->buffer[out->length] = '\0';
}

/* Length of the well-formed UTF-8 sequence at `text` (RFC 3629), or 0. A terminating NUL ends it early. */
static size_t utf8_sequence(const unsigned char *text)
{
    static const unsigned char least[] = {0xE0, 0xA0, 0xF0, 0x90}, most[] = {0xED, 0x9F, 0xF4, 0x8F};
    unsigned char first = text[0];
    size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;

    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    if ((first == least[0] && text[1] < least[1]) || (first == least[2] && text[1] < least[3]) ||
        (first == most[0] && text[1] > most[1]) || (first == most[2] && text[1] > most[3]))
        return 0;
    return length;
}

/* Writes `text` as it stands inside a JSON string to `to`, or only measures it (`to` NULL). */
static size_t escape(char *to, const char *value)
{
    static const char digits[] = "0123456789abcdef", letters[] = "btn\0fr"; /* of U+0008 to U+000D; U+000B has none */
    const unsigned char *text = (const unsigned char *)value;
    size_t length = 0;

    while (*text != '\0') {
        char piece[6] = "\\u00";
        size_t taken = utf8_sequence(text), made = 6;
        unsigned char c = *text;
        if (taken > 0 && c >= 0x20 && c != '"' && c != '\\') {
            memcpy(piece, text, taken);
            made = taken;
        } else if (c == '"' || c == '\\') {
            piece[1] = (char)c;
            made = 2;
        } else if (c >= 8 && c <= 13 && letters[c - 8] != '\0') {
            piece[1] = letters[c - 8];
            made = 2;
        } else {
            if (taken == 0)
                memcpy(piece + 2, "dc", 2);
            piece[4] = digits[c >> 4];
            piece[5] = digits[c & 15];
            taken = 1;
        }
        if (to)
            memcpy(to + length, piece, made);
        length += made;
        text += taken;
    }
    return length;
}

/* Writes comma and key before a value of `length` bytes, if all three fit and leave room for the closing brackets. */
static bool begin(struct json_out *out, const char *key, size_t length)
{
    size_t need = length + out->comma + (key ? escape(NULL, key) + 3 : 0);
    size_t kept = out->length + out->depth + 1;

    if (out->skipped > 0 || kept > out->size || need > out->size - kept) {
        out->truncated = true;
        return false;
    }
    if (out->comma)
        put(out, ",", 1);
    if (key) {
        put(out, "\"", 1);
        out->length += escape(out->buffer + out->length, key);
        put(out, "\":", 2);
    }
    out->comma = true;
    return true;
}

static void open_container(struct json_out *out, const char *key, const char *bracket)
{
    /* Two bytes: the closing bracket's room is reserved with the opening one. */
    if (!begin(out, key, 2)) {
        out->skipped++;
        return;
    }
    put(out, bracket, 1);
    out->depth++;
    out->comma = false;
}

static void close_container(struct json_out *out, const char *bracket)
{
    if (out->skipped > 0) {
        out->skipped--;
        return;
    }
    out->depth--;
    put(out, bracket, 1);
    out->comma = true;
}

void json_out_object(struct json_out *out, const char *key)
{
    open_container(out, key, "{");
}

void json_out_array(struct json_out *out, const char *key)
{
    open_container(out, key, "[");
}

void json_out_close_object(struct json_out *out)
{
    close_container(out, "}");
}

void json_out_close_array(struct json_out *out)
{
    close_container(out, "]");
}

static void put_word(struct json_out *out, const char *key, const char *word, size_t length)
{
    if (begin(out, key, length))
        put(out, word, length);
}

void json_out_string(struct json_out *out, const char *key, const char *value)
{
    if (!value) {
        json_out_null(out, key);
        return;
    }
    size_t length = escape(NULL, value);
    if (!begin(out, key, length + 2))
        return;
    put(out, "\"", 1);
    out->length += escape(out->buffer + out->length, value);
    put(out, "\"", 1);
}

void json_out_number(struct json_out *out, const char *key, int64_t value)
{
    char digits[21];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    put_word(out, key, digits + at, sizeof(digits) - at);
}

void json_out_bool(struct json_out *out, const char *key, bool value)
{
    put_word(out, key, value ? "true" : "false", value ? 4 : 5);
}

void json_out_null(struct json_out *out, const char *key)
{
    put_word(out, key, "null", 4);
}
