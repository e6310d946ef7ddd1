#define _GNU_SOURCE /* memmem, memrchr */
#include "naming.h"

#include "asker.h"
#include "raw.h"

#include <string.h>

const char *naming_by_name(enum naming_by by)
{
    static const char *const names[] = {NULL, "app", "arguments", "environment", "library"};
    return names[by];
}

/* Is `literal` what the absolute `path` ends with, part by part? */
static bool is_end_of(const char *literal, size_t length, const char *path)
{
    size_t whole = strlen(path);
    if (length == 0 || length > whole || memcmp(path + whole - length, literal, length) != 0)
        return false;
    return length == whole || literal[0] == '/' || path[whole - length - 1] == '/';
}

static bool names(const char *literal, size_t length, const struct model_identity *model, const char *path, bool strict)
{
    const char *colon = strchr(model->id, ':'), *name = colon ? colon + 1 : model->id;
    if (strict && !memchr(literal, '/', length))
        return false;
    while (length > 2 && literal[0] == '.' && literal[1] == '/') {
        literal += 2;
        length -= 2;
    }
    while (length > 1 && literal[length - 1] == '/')
        length--;
    if (strlen(name) == length && memcmp(name, literal, length) == 0)
        return true;
    return strncmp(model->id, "file:", 5) == 0 &&
           (is_end_of(literal, length, path) || is_end_of(literal, length, name));
}

/* The end of a literal that opens with `quote` at `at`: behind its closing quotes, or `stop`. Fills what it holds;
 * length 0 for texts in triple quotes. */
static const char *literal_end(const char *at, const char *stop, const char **text, size_t *length)
{
    char quote = *at;
    bool triple = stop - at >= 3 && at[1] == quote && at[2] == quote;
    *text = at + 1;
    *length = 0;
    for (at += triple ? 3 : 1; at < stop; at++) {
        if (*at == '\\') {
            at++;
        } else if (triple && stop - at >= 3 && at[0] == quote && at[1] == quote && at[2] == quote) {
            return at + 3;
        } else if (!triple && (*at == quote || *at == '\n')) {
            *length = (size_t)(at - *text);
            return at + 1;
        }
    }
    return stop;
}

int naming_in_source(const char *text, size_t length, const struct model_identity *model, const char *path, bool strict)
{
    const char *at = text, *stop = text + length;
    while (at < stop) {
        if (*at == '#') {
            const char *end = memchr(at, '\n', (size_t)(stop - at));
            at = end ? end : stop;
        } else if (*at == '"' || *at == '\'') {
            const char *literal, *start = at;
            size_t literal_length;
            at = literal_end(at, stop, &literal, &literal_length);
            if (!names(literal, literal_length, model, path, strict))
                continue;
            int line = 1;
            while (start > text && (start = memrchr(text, '\n', (size_t)(start - text))))
                line++;
            return line;
        } else {
            at++;
        }
    }
    return 0;
}

/* The last part of a name or path: whatever names it holds that. */
static const char *last_part(const char *text)
{
    const char *slash = strrchr(text, '/'), *colon = strchr(text, ':');
    return slash ? slash + 1 : colon ? colon + 1 : text;
}

static bool may_hold(const char *text, size_t length, const char *part)
{
    return part[0] != '\0' && memmem(text, length, part, strlen(part));
}

/* A file as a whole into mapped memory of NAMING_FILE_MAX bytes; 0: not to be read, or larger. */
static size_t read_file(const char *path, char *text)
{
    struct stat status;
    size_t length = 0;
    long fd = raw_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0)
        return 0;
    if (raw_fstat((int)fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size < NAMING_FILE_MAX) {
        long got;
        while (length < NAMING_FILE_MAX && (got = raw_read((int)fd, text + length, NAMING_FILE_MAX - length)) > 0)
            length += (size_t)got;
    }
    raw_close((int)fd);
    return length;
}

/* The words of /proc/self/cmdline or environ: whole, behind "=", or code given by -c. */
static bool named_in_words(const char *file, char *text, const struct model_identity *model, const char *path)
{
    size_t length = read_file(file, text);
    for (size_t from = 0; from < length;) {
        const char *word = text + from, *equals;
        size_t size = strnlen(word, length - from);
        equals = memchr(word, '=', size);
        if (names(word, size, model, path, false) || naming_in_source(word, size, model, path, false) ||
            (equals && names(equals + 1, size - (size_t)(equals + 1 - word), model, path, false)))
            return true;
        from += size + 1;
    }
    return false;
}

/* The script that was started, when a thread that the application set up has none of its frames. */
static bool named_in_script(char *text, char *words, const struct model_identity *model, const char *path,
                            struct naming *naming)
{
    size_t length = read_file("/proc/self/cmdline", words);
    for (size_t from = 0; from < length; from += strlen(words + from) + 1) {
        const char *word = words + from;
        size_t size = strnlen(word, length - from);
        if (from + size >= length) /* no NUL behind it */
            return false;
        if (size < 4 || strcmp(word + size - 3, ".py") != 0 || size >= sizeof naming->file)
            continue;
        naming->line = naming_in_source(text, read_file(word, text), model, path, false);
        if (naming->line > 0) {
            strcpy(naming->file, word);
            naming->by = NAMING_APP;
        }
        return naming->line > 0;
    }
    return false;
}

static bool seen_before(const struct frame *frames, unsigned at)
{
    for (unsigned i = 0; i < at; i++)
        if (strcmp(frames[i].file, frames[at].file) == 0)
            return true;
    return false;
}

static bool named_in_frames(char *text, const struct model_identity *model, const char *path,
                            const struct frame *frames, unsigned frame_count, bool installed, struct naming *naming)
{
    for (unsigned i = 0; i < frame_count; i++) {
        if (asker_is_standard_library(frames[i].file) || (asker_installed_part(frames[i].file) != NULL) != installed ||
            seen_before(frames, i))
            continue;
        size_t length = read_file(frames[i].file, text);
        if (!may_hold(text, length, last_part(model->id)) && !may_hold(text, length, last_part(path)))
            continue;
        naming->line = naming_in_source(text, length, model, path, installed);
        if (naming->line == 0)
            continue;
        strcpy(naming->file, frames[i].file);
        naming->by = installed ? NAMING_LIBRARY : NAMING_APP;
        return true;
    }
    return false;
}

void naming_find(const struct model_identity *model, const char *path, const struct frame *frames, unsigned frame_count,
                 struct naming *naming)
{
    *naming = (struct naming){0};
    char *text = raw_take(NULL, 2 * (size_t)NAMING_FILE_MAX);
    if (!text)
        return;
    if (!named_in_frames(text, model, path, frames, frame_count, false, naming) &&
        !named_in_script(text, text + NAMING_FILE_MAX, model, path, naming)) {
        if (named_in_words("/proc/self/cmdline", text, model, path))
            naming->by = NAMING_ARGUMENTS;
        else if (named_in_words("/proc/self/environ", text, model, path))
            naming->by = NAMING_ENVIRONMENT;
        else
            named_in_frames(text, model, path, frames, frame_count, true, naming);
    }
    raw_give(NULL, text, 2 * (size_t)NAMING_FILE_MAX);
}
