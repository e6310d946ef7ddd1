#include "symbolic.h"

#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

static bool one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* May an expression call what is written in front of the parenthesis? Words such as `and` stand there too. */
static bool may_be_called(const struct symbolic_scan *scan)
{
    static const char *const words[] = {"and", "or", "not", "in", "is", "if", "else"};
    static const char *const functions[] = {
        "abs",  "int",  "float", "bool", "max",  "min",  "round", "floor", "ceiling", "sqrt", "log",  "exp",
        "sin",  "cos",  "tan",   "asin", "acos", "atan", "sinh",  "cosh",  "tanh",    "sign", "asinh", "acosh",
        "atanh", "cast_symbool_to_symint_guardless",
    };
    static const char *const methods[] = {"size", "stride", "storage_offset", "dim", "numel"};
    const char *dot = strrchr(scan->name, '.');

    if (scan->name_length >= sizeof(scan->name))
        return false;
    if (scan->of_value)
        return one_of(dot + 1, methods, sizeof(methods) / sizeof(*methods));
    if (dot)
        return dot == strchr(scan->name, '.') &&
               (strncmp(scan->name, "math.", 5) == 0 || strncmp(scan->name, "torch.sym_", 10) == 0);
    return (scan->name[0] >= 'A' && scan->name[0] <= 'Z') ||
           one_of(scan->name, words, sizeof(words) / sizeof(*words)) ||
           one_of(scan->name, functions, sizeof(functions) / sizeof(*functions));
}

static void name_add(struct symbolic_scan *scan, char c)
{
    if (scan->name_length < sizeof(scan->name) - 1) {
        scan->name[scan->name_length] = c;
        scan->name[scan->name_length + 1] = '\0';
    }
    scan->name_length++;
}

/* A byte of a name, or a dot. */
static const char *name_read(struct symbolic_scan *scan, char c)
{
    bool joined = scan->last == '.' || (!scan->space && is_name(scan->last)) || (c == '.' && is_name(scan->last));

    if (c == '_' && scan->last == '_' && !scan->space)
        return "__";
    if (!joined) {
        scan->name_length = 0;
        scan->of_value = c == '.' && scan->last != '\0' && strchr(")]'\"", scan->last);
    }
    name_add(scan, c);
    return NULL;
}

static const char *sign_read(struct symbolic_scan *scan, char c)
{
    if (c == '(' && scan->last != '\0' && strchr(")]'\"", scan->last))
        return "a call of a value";
    if (c == '(' && is_name(scan->last) && scan->name_length > 0 && !may_be_called(scan))
        return "a call";
    if (c == '"' || c == '\'')
        scan->quote = c;
    else if (!strchr("()[],+-*/%<>=!&|~^", c))
        return "syntax of programs";
    scan->name_length = 0;
    return NULL;
}

const char *symbolic_scan(struct symbolic_scan *scan, const char *text, size_t length)
{
    const char *found = NULL;

    for (size_t i = 0; i < length && !found; i++) {
        char c = text[i];
        if (scan->quote) {
            if (c != scan->quote && !is_name(c) && (c == '\0' || !strchr(" .+-", c)))
                found = "a text";
            if (c != scan->quote)
                continue;
            scan->quote = 0;
        } else if (c == ' ') {
            scan->space = true;
            continue;
        } else if (c == '\0') {
            found = "syntax of programs";
        } else {
            found = is_name(c) || c == '.' ? name_read(scan, c) : sign_read(scan, c);
        }
        scan->last = c;
        scan->space = false;
    }
    return found;
}
