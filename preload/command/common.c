#include "command.h"

#include "../line.h"
#include "../settings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_error(const char *verb, const char *format, va_list list)
{
    fprintf(stderr, "guard%s%s: ", verb ? " " : "", verb ? verb : "");
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
}

int command_error(int status, const char *verb, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    print_error(verb, format, list);
    va_end(list);
    return status;
}

int command_usage(int status, const char *verb, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    print_error(verb, format, list);
    va_end(list);
    fprintf(stderr, "Try `guard%s%s --help`.\n", verb ? " " : "", verb ? verb : "");
    return status;
}

void command_print_fault(const char *verb, const struct policy_fault *fault)
{
    fprintf(stderr, "guard %s: ", verb);
    command_print_visible(stderr, fault->name);
    if (fault->line > 0)
        fprintf(stderr, ":%u:%u", fault->line, fault->column);
    fputs(": ", stderr);
    command_print_visible(stderr, fault->message);
    fputc('\n', stderr);
}

struct policy *command_load_policy(const char *verb, const char *file)
{
    struct policy_fault fault = {0};
    struct policy *policy = settings_load_policy(file, &fault);

    if (!policy)
        command_print_fault(verb, &fault);
    return policy;
}

void *command_memory(size_t bytes)
{
    void *memory = calloc(1, bytes > 0 ? bytes : 1);

    if (!memory) {
        fputs("guard: out of memory\n", stderr);
        exit(EXIT_USAGE);
    }
    return memory;
}

void *command_grow(void *members, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return members;
    *room = *room > 0 ? 2 * *room : 16;
    char *more = command_memory(*room * size);
    if (count > 0)
        memcpy(more, members, count * size);
    free(members);
    return more;
}

void words_add(struct words *words, const char *word)
{
    words->list = command_grow(words->list, words->count, &words->room, sizeof(*words->list));
    words->list[words->count++] = word;
}

char *command_copy(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(command_memory(size), text, size);
}

char *command_absolute(const char *path)
{
    char *folder = path[0] == '/' ? NULL : getcwd(NULL, 0);
    size_t length = folder ? strlen(folder) : 0;

    if (!folder)
        return command_copy(path);
    char *absolute = command_memory(length + strlen(path) + 2);
    memcpy(absolute, folder, length);
    absolute[length] = '/';
    strcpy(absolute + length + 1, path);
    free(folder);
    return absolute;
}

void command_print_visible(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        size_t length = line_visible(at);
        if (length > 0)
            fwrite(at, 1, length, out);
        else
            fprintf(out, "\\x%02x", *at);
        at += length > 0 ? length : 1;
    }
}

bool command_colour(FILE *out)
{
    const char *plain = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(fileno(out)) && !(plain && plain[0] != '\0') && terminal && strcmp(terminal, "dumb") != 0;
}
