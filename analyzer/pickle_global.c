#include "pickle_field.h"
#include "pickle_stack.h"

#include <string.h>

/* The two lines of GLOBAL and INST. */
static bool pair_take(struct machine *machine, uint32_t *name)
{
    char module[LIMIT_NAME + 2];
    const unsigned char *line;
    uint64_t length;
    size_t module_length;

    if (!line_take(machine, &line, &length))
        return false;
    module_length = length < sizeof module ? (size_t)length : sizeof module;
    memcpy(module, line, module_length);
    /* Where the bytes end behind the module, Python's unpickler imports it and then asks it for "". */
    if (!line_take(machine, &line, &length)) {
        line = (const unsigned char *)"";
        length = 0;
    }
    if (length > LIMIT_NAME + 1)
        length = LIMIT_NAME + 1;
    if ((const char *)line == machine->scratch) {
        /* The name is written where the long line was copied to. */
        char copy[LIMIT_NAME + 2];

        memcpy(copy, line, (size_t)length);
        *name = name_find(machine, module, module_length, copy, (size_t)length);
        return true;
    }
    *name = name_find(machine, module, module_length, (const char *)line, (size_t)length);
    return true;
}

enum stream_end op_pair(struct machine *machine, unsigned char op)
{
    uint32_t name;
    size_t first, count;
    word made;

    if (!pair_take(machine, &name))
        return STREAM_TRUNCATED;
    report_import(machine, name);
    if (op == OP_GLOBAL)
        return push(machine, word_global(name));
    if (!mark_pop(machine, &first))
        return STREAM_INVALID; /* only now: Python's unpickler resolves the name first */
    count = machine->depth - first;
    made = call_items(machine, word_global(name), stack_from(machine, first), count);
    machine->depth = first;
    return push(machine, made);
}

/* One of STACK_GLOBAL's two strings, copied into `copy` (LIMIT_NAME + 2 bytes). A string that the stream had made by a
 * call, or found in a module (os.name), cannot be told. STREAM_INVALID: no string, so that both unpicklers raise. */
static enum stream_end half_load(struct machine *machine, word value, char *copy, size_t *length)
{
    struct arena_mark mark = arena_mark(machine->scan->arena);
    struct text text;
    bool loaded;

    if (word_tag(value) == TAG_OBJECT || word_tag(value) == TAG_GLOBAL || word_tag(value) == TAG_UNKNOWN) {
        copy[0] = '?';
        *length = 1;
        return STREAM_GOES_ON;
    }
    if (word_tag(value) != TAG_STRING && word_tag(value) != TAG_STRING8)
        return STREAM_INVALID;
    loaded = text_load(machine, value, LIMIT_NAME + 1, &text);
    if (loaded) {
        memcpy(copy, text.bytes, text.length);
        *length = text.length;
    }
    arena_release(machine->scan->arena, mark);
    return loaded ? STREAM_GOES_ON : limit_reached(machine, "pickle-name-limit", "more names than there is room for");
}

enum stream_end op_stack_global(struct machine *machine)
{
    char module[LIMIT_NAME + 2], name[LIMIT_NAME + 2];
    size_t module_length = 0, name_length = 0;
    enum stream_end end;
    uint32_t found;

    if (above(machine) < 2)
        return STREAM_INVALID;
    end = half_load(machine, top(machine)[-1], module, &module_length);
    if (end == STREAM_GOES_ON)
        end = half_load(machine, *top(machine), name, &name_length);
    if (end != STREAM_GOES_ON)
        return end;
    found = name_find(machine, module, module_length, name, name_length);
    machine->depth -= 2;
    report_import(machine, found);
    return push(machine, word_global(found));
}

enum stream_end op_extension(struct machine *machine, uint32_t code)
{
    char name[24] = "extension_";
    size_t at = sizeof name;
    size_t length = 10;
    uint32_t found;

    /* Both unpicklers raise unless the program has registered the code, and of random bytes many read so. */
    if (machine->doubtful)
        return STREAM_INVALID;
    do
        name[--at] = (char)('0' + code % 10);
    while (code /= 10);
    memmove(name + length, name + at, sizeof name - at);
    length += sizeof name - at;
    found = name_find(machine, "copyreg", 7, name, length);
    report_import(machine, found);
    return push(machine, word_global(found));
}
