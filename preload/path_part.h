/* Walking over a path's parts, and putting texts together that are right or empty. For model*.c, edges.c
 * and outside.c. */
#ifndef GUARD_PATH_PART_H
#define GUARD_PATH_PART_H

#include "text_hash.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* One part of a path, between slashes. */
struct part {
    const char *text;
    size_t length;
};

/* The first part at or after `at`; false at the end. Empty parts and "." are left out. */
static inline bool part_next(const char **at, struct part *part)
{
    for (;;) {
        *at += strspn(*at, "/");
        part->text = *at;
        part->length = strcspn(*at, "/");
        *at += part->length;
        if (part->length != 1 || part->text[0] != '.')
            return part->length > 0;
    }
}

static inline bool part_is(const struct part *part, const char *text)
{
    return strlen(text) == part->length && memcmp(text, part->text, part->length) == 0;
}

/* Is it `length` lower-case hexadecimal digits? */
static inline bool part_is_hex(const struct part *part, size_t length)
{
    return part->length == length && strspn(part->text, "0123456789abcdef") >= length;
}

/* Appends to a NUL-terminated text; false, and empty, when it does not fit: half a name would be another name. */
static inline bool part_append(char *text, size_t size, const char *more, size_t length)
{
    size_t used = strlen(text);

    if (length >= size - used) {
        text[0] = '\0';
        return false;
    }
    memcpy(text + used, more, length);
    text[used + length] = '\0';
    return true;
}

/* The parts of `path` with one slash between them; false, and empty, when there is none or they do not fit. */
static inline bool part_rest(char *text, size_t size, const char *path)
{
    struct part part;

    text[0] = '\0';
    while (part_next(&path, &part))
        if ((text[0] != '\0' && !part_append(text, size, "/", 1)) || !part_append(text, size, part.text, part.length))
            return false;
    return text[0] != '\0';
}

/* Takes ".." and "." out, as a kernel that meets no links would. */
static inline void path_straighten(char path[PATH_MAX])
{
    char straight[PATH_MAX] = "";
    const char *at = path;
    struct part part;

    while (part_next(&at, &part)) {
        if (part_is(&part, "..")) {
            char *last = strrchr(straight, '/');
            if (last)
                *last = '\0';
        } else if (part_append(straight, sizeof(straight), "/", 1)) {
            part_append(straight, sizeof(straight), part.text, part.length);
        }
    }
    strcpy(path, straight[0] != '\0' ? straight : "/");
}

/* FOLDER/target; false when it is too long. */
static inline bool path_join(char path[PATH_MAX], const char *folder, size_t length, const char *target)
{
    if (length + strlen(target) + 2 > PATH_MAX)
        return false;
    memcpy(path, folder, length);
    path[length] = '/';
    strcpy(path + length + 1, target);
    return true;
}

/* Of an absolute path's folder, without the slash. */
static inline size_t path_folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

/* One bit for the last part of a path: sets of them fit in a word, and say yes too often. */
static inline uint64_t path_name_bit(const char *path)
{
    const char *slash = strrchr(path, '/');
    return 1ull << (text_hash(TEXT_HASH_START, slash ? slash + 1 : path) >> 58);
}

#endif
