#include "bytes.h"

#include <string.h>

bool bytes_hold(const unsigned char *bytes, size_t length, const char *text)
{
    size_t text_length = strlen(text);
    for (size_t i = 0; i + text_length <= length; i++)
        if (bytes[i] == (unsigned char)text[0] && memcmp(bytes + i, text, text_length) == 0)
            return true;
    return false;
}

bool bytes_begin(const unsigned char *bytes, size_t length, const char *text)
{
    size_t text_length = strlen(text);
    return length >= text_length && memcmp(bytes, text, text_length) == 0;
}

bool bytes_end(const unsigned char *bytes, size_t length, const char *text)
{
    size_t text_length = strlen(text);
    return length >= text_length && memcmp(bytes + length - text_length, text, text_length) == 0;
}

size_t bytes_blank(const unsigned char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && (bytes[at] == ' ' || (bytes[at] >= '\t' && bytes[at] <= '\r')))
        at++;
    return at;
}

bool path_leaves(const char *path)
{
    if (path[0] == '/')
        return true;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}
