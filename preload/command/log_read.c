#define _GNU_SOURCE
#include "log_read.h"

#include "../digest.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One file on its way. */
struct reading {
    struct log_line at;
    void (*line)(void *context, const struct log_line *line);
    void *context;
    struct log_totals *totals;
    uint64_t damaged, first_damaged; /* of this file */
};

/* Is the escape of a surrogate at `text`, whose second digit is one of `second`? In small letters, as Python writes
 * them too. */
static bool is_surrogate(const char *text, size_t length, const char *second)
{
    return length >= 6 && memcmp(text, "\\ud", 3) == 0 && text[3] != '\0' && strchr(second, text[3]) &&
           strspn(text + 4, "0123456789abcdef") >= 2;
}

/* json_out writes a byte that is no UTF-8 as a lone \udcXX, which cJSON takes for an error. The byte itself does it, as
 * cJSON does not look into strings; what is left is shorter. Of a pair, as other writers escape what lies beyond
 * U+FFFF, the second half stays. */
static size_t bytes_unescape(char *text, size_t length)
{
    size_t to = 0, from = 0;

    while (from < length) {
        size_t step = text[from] != '\\' || length - from < 2 ? 1 : 2;
        if (is_surrogate(text + from, length - from, "c") && text[from + 4] >= '8') {
            const char digits[] = {text[from + 4], text[from + 5], '\0'};
            text[to++] = (char)strtoul(digits, NULL, 16);
            from += 6;
            continue;
        }
        if (is_surrogate(text + from, length - from, "89ab"))
            step = is_surrogate(text + from + 6, length - from - 6, "cdef") ? 12 : 6;
        memmove(text + to, text + from, step);
        to += step;
        from += step;
    }
    return to;
}

static bool is_record(const cJSON *object)
{
    return log_number(object, "v", 0) == 1 && log_text(object, "event") && log_text(object, "decision");
}

static bool is_scan(const cJSON *object)
{
    return log_text(object, "verdict") && log_text(object, "path") &&
           cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(object, "findings"));
}

/* A line without its end, NUL behind it. */
static void line_take(struct reading *reading, char *text, size_t length)
{
    const char *end = NULL;

    reading->at.number++;
    if (strspn(text, " \t\r") == length)
        return;
    length = bytes_unescape(text, length);
    text[length] = '\0';
    cJSON *object = cJSON_ParseWithLengthOpts(text, length + 1, &end, true);
    reading->at.scan = object && is_scan(object);
    reading->at.object = object;
    if (reading->at.scan || (object && is_record(object))) {
        reading->totals->records += !reading->at.scan;
        reading->totals->scans += reading->at.scan;
        reading->line(reading->context, &reading->at);
    } else if (reading->damaged++ == 0) {
        reading->first_damaged = reading->at.number;
    }
    cJSON_Delete(object);
}

/* Hands on the lines of `fd`. False with errno. */
static bool lines_read(struct reading *reading, int fd, char *buffer)
{
    size_t used = 0;
    bool too_long = false; /* what is in the buffer is the rest of a line that was given up */
    ssize_t got;

    while ((got = read(fd, buffer + used, LOG_LINE_MAX - used)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        char *line = buffer, *stop = buffer + used + got, *newline = memchr(buffer + used, '\n', (size_t)got);
        for (; newline; line = newline + 1, newline = memchr(line, '\n', (size_t)(stop - line))) {
            *newline = '\0';
            if (!too_long)
                line_take(reading, line, (size_t)(newline - line));
            too_long = false;
        }
        used = (size_t)(stop - line);
        memmove(buffer, line, used);
        if (used < LOG_LINE_MAX && !too_long)
            continue;
        if (!too_long) {
            reading->at.number++;
            if (reading->damaged++ == 0)
                reading->first_damaged = reading->at.number;
        }
        too_long = true;
        used = 0;
    }
    buffer[used] = '\0';
    if (used > 0)
        line_take(reading, buffer, used);
    return true;
}

static void damage_print(const char *verb, const struct reading *reading)
{
    fprintf(stderr, "guard %s: ", verb);
    command_print_visible(stderr, reading->at.file);
    fprintf(stderr, ":%llu: %s", (unsigned long long)reading->first_damaged,
            "neither a record nor a line of `guard scan --format json`");
    if (reading->damaged > 1)
        fprintf(stderr, "; and %llu more such lines", (unsigned long long)reading->damaged - 1);
    fputs(", left out\n", stderr);
}

bool log_read(const char *verb, char *const files[], size_t count,
              void (*line)(void *context, const struct log_line *line), void *context, struct log_totals *totals)
{
    char *buffer = command_memory(LOG_LINE_MAX + 1);
    bool good = true;

    *totals = (struct log_totals){0};
    for (size_t i = 0; i < count; i++) {
        struct reading reading = {.at.file = files[i], .line = line, .context = context, .totals = totals};
        int fd = strcmp(files[i], "-") == 0 ? STDIN_FILENO : open(files[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0 || !lines_read(&reading, fd, buffer)) {
            command_error(EXIT_USAGE, verb, "%s: %s", files[i], strerror(errno));
            good = false;
        }
        if (fd > STDIN_FILENO)
            close(fd);
        if (reading.damaged > 0)
            damage_print(verb, &reading);
        totals->damaged += reading.damaged;
    }
    free(buffer);
    return good;
}

const char *log_text(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

int64_t log_number(const cJSON *object, const char *key, int64_t otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    /* Beyond 2^53 doubles have gaps. */
    if (!cJSON_IsNumber(item) || !(item->valuedouble > -9007199254740992.0 && item->valuedouble < 9007199254740992.0))
        return otherwise;
    return (int64_t)item->valuedouble;
}

const char *log_sha256(const cJSON *object)
{
    const char *hex = log_text(object, "sha256");

    return hex && strlen(hex) == DIGEST_HEX - 1 && strspn(hex, "0123456789abcdef") == DIGEST_HEX - 1 ? hex : NULL;
}

static void copy(char *to, size_t size, const char *text)
{
    if (text && strlen(text) < size)
        strcpy(to, text);
}

bool log_model(const struct log_line *line, struct model_identity *identity)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(line->object, "model");
    const char *path = log_text(line->object, "path"), *id = log_text(model, "id");

    if (!path || path[0] != '/')
        return false;
    model_identify(path, identity);
    if (id && strlen(id) < sizeof(identity->id) && strcmp(id, identity->id) != 0) {
        *identity = (struct model_identity){.hub = strncmp(id, "hf:", 3) == 0};
        copy(identity->id, sizeof(identity->id), id);
        copy(identity->revision, sizeof(identity->revision), log_text(model, "revision"));
    }
    copy(identity->inside, sizeof(identity->inside), log_text(model, "inside"));
    return true;
}
