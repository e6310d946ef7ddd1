#include "command.h"

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

/* Length of the UTF-8 sequence of a printable character at `text`, or 0. */
static size_t visible_sequence(const unsigned char *text)
{
    size_t length = text[0] < 0x80   ? 1
                    : text[0] < 0xC2 ? 0
                    : text[0] < 0xE0 ? 2
                    : text[0] < 0xF0 ? 3
                    : text[0] < 0xF5 ? 4
                                     : 0;

    if (text[0] < 0x20 || text[0] == 0x7F)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    /* C1 controls, and the marks that turn the direction of text (U+202A to U+202E, U+2066 to U+2069). */
    if ((text[0] == 0xC2 && text[1] < 0xA0) ||
        (text[0] == 0xE2 && ((text[1] == 0x80 && text[2] >= 0xAA && text[2] <= 0xAE) ||
                             (text[1] == 0x81 && text[2] >= 0xA6 && text[2] <= 0xA9))))
        return 0;
    return length;
}

void command_print_visible(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        size_t length = visible_sequence(at);
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
