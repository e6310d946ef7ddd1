#include "pickle.h"

#include <string.h>

/* A text of at most LIMIT_ARGUMENT_TEXT bytes that is being written. */
struct rendering {
    char text[LIMIT_ARGUMENT_TEXT + 4];
    size_t length;
    bool cut;
};

static void put(struct rendering *rendering, const char *text, size_t length)
{
    if (rendering->cut)
        return;
    if (length > LIMIT_ARGUMENT_TEXT - rendering->length) {
        rendering->cut = true;
        memcpy(rendering->text + rendering->length, "...", 3);
        rendering->length += 3;
        return;
    }
    memcpy(rendering->text + rendering->length, text, length);
    rendering->length += length;
}

static void put_text(struct rendering *rendering, const char *text)
{
    put(rendering, text, strlen(text));
}

static void put_decimal(struct rendering *rendering, unsigned __int128 number, bool negative)
{
    char digits[48];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + (int)(number % 10));
    while (number /= 10);
    if (negative)
        digits[--at] = '-';
    put(rendering, digits + at, sizeof digits - at);
}

/* Seven significant digits: it is for people, and to tell 0.5 from 1.0. */
static void put_float(struct rendering *rendering, double number)
{
    int exponent = 0, i;
    uint64_t digits;
    char mantissa[8];

    if (number != number) {
        put_text(rendering, "nan");
        return;
    }
    if (number < 0) {
        put_text(rendering, "-");
        number = -number;
    }
    if (number > 1.7976931348623157e308) {
        put_text(rendering, "inf");
        return;
    }
    if (number < 1e15 && (double)(uint64_t)number == number) {
        put_decimal(rendering, (uint64_t)number, false);
        put_text(rendering, ".0");
        return;
    }
    for (; number >= 10; exponent++)
        number /= 10;
    for (; number < 1; exponent--)
        number *= 10;
    digits = (uint64_t)(number * 1e6 + 0.5);
    if (digits >= 10000000) {
        digits /= 10;
        exponent++;
    }
    for (i = 6; i >= 0; i--, digits /= 10)
        mantissa[i] = (char)('0' + (int)(digits % 10));
    put(rendering, mantissa, 1);
    put_text(rendering, ".");
    put(rendering, mantissa + 1, 6);
    put_text(rendering, exponent < 0 ? "e-" : "e+");
    put_decimal(rendering, (unsigned)(exponent < 0 ? -exponent : exponent), false);
}

/* A number that did not fit a word, from its opcode. False: longer than is worth showing. */
static bool put_number(struct machine *machine, struct rendering *rendering, word value)
{
    struct text text;
    const unsigned char *bytes;
    unsigned __int128 number = 0;
    uint64_t bits = 0;
    size_t i;
    bool negative;

    if (!text_load(machine, value, LIMIT_ARGUMENT_TEXT, &text))
        return false;
    bytes = (const unsigned char *)text.bytes;
    switch (text_opcode(machine, value)) {
    case OP_LONG1:
    case OP_LONG4:
        if (text.cut || text.length > 16)
            return false;
        negative = text.length && bytes[text.length - 1] & 0x80;
        for (i = 16; i-- > 0;)
            number = number << 8 | (i < text.length ? bytes[i] : negative ? 0xffu : 0u);
        put_decimal(rendering, negative ? -number : number, negative);
        return true;
    case OP_BINFLOAT:
        for (i = 0; i < 8; i++)
            bits = bits << 8 | bytes[i];
        put_float(rendering, (union { uint64_t bits; double number; }){bits}.number);
        return true;
    default:
        put(rendering, text.bytes, text.length);
        return true;
    }
}

/* A NUL would end the text for whoever compares it. */
static void put_string(struct rendering *rendering, const struct text *text)
{
    size_t i;

    for (i = 0; i < text->length && !rendering->cut; i++)
        put(rendering, text->bytes[i] ? &text->bytes[i] : "\\x00", text->bytes[i] ? 1 : 4);
}

static void put_bytes(struct rendering *rendering, const struct text *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < text->length && !rendering->cut; i++) {
        unsigned char c = (unsigned char)text->bytes[i];
        const char escape[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};

        if (c >= 0x20 && c < 0x7f && c != '\\')
            put(rendering, &text->bytes[i], 1);
        else
            put(rendering, escape, sizeof escape);
    }
}

static void put_value(struct machine *machine, struct rendering *rendering, word value, unsigned depth);

static void put_items(struct machine *machine, struct rendering *rendering, const word *items, size_t count, bool pairs,
                      bool whole, unsigned depth)
{
    size_t i;

    for (i = 0; i < count && !rendering->cut; i++) {
        if (i)
            put_text(rendering, pairs && i % 2 ? ": " : ", ");
        put_value(machine, rendering, items[i], depth + 1);
    }
    if (!whole)
        put_text(rendering, count ? ", ..." : "...");
}

static void put_sequence(struct machine *machine, struct rendering *rendering, word value, unsigned depth)
{
    static const char *const brackets[16][2] = {
        [TAG_TUPLE] = {"(", ")"}, [TAG_LIST] = {"[", "]"}, [TAG_DICT] = {"{", "}"}, [TAG_SET] = {"{", "}"},
    };
    enum tag tag = word_tag(value);
    const word *items;
    size_t count;
    bool whole;

    if (tag == TAG_TUPLE) {
        items = tuple_items(machine, value);
        count = items ? tuple_count(value) : 0;
        whole = items && !(value & TUPLE_MORE);
    } else {
        items = container_items(machine, value, &count, &whole);
    }
    put_text(rendering, brackets[tag][0]);
    if (depth < 3)
        put_items(machine, rendering, items, count, tag == TAG_DICT, whole, depth);
    else
        put_text(rendering, "...");
    put_text(rendering, tag == TAG_TUPLE && whole && count == 1 && depth < 3 ? ",)" : brackets[tag][1]);
}

static const char *name_text(const struct machine *machine, word value)
{
    uint32_t index = word_index(value);

    return index < NAMES_MAX ? machine->names[index].text : NULL;
}

static void put_value(struct machine *machine, struct rendering *rendering, word value, unsigned depth)
{
    struct argument argument;

    if (word_tag(value) >= TAG_TUPLE) {
        put_sequence(machine, rendering, value, depth);
        return;
    }
    argument_make(machine, value, &argument);
    if (argument.kind == ARGUMENT_STRING || argument.kind == ARGUMENT_BYTES)
        put_text(rendering, argument.kind == ARGUMENT_STRING ? "\"" : "b\"");
    if (argument.text)
        put_text(rendering, argument.text);
    else
        put_text(rendering, argument.kind == ARGUMENT_NONE     ? "None"
                            : argument.kind == ARGUMENT_OBJECT ? "<object>"
                                                               : "?");
    if (argument.kind == ARGUMENT_STRING || argument.kind == ARGUMENT_BYTES)
        put_text(rendering, "\"");
}

void argument_make(struct machine *machine, word value, struct argument *argument)
{
    struct rendering rendering = {.length = 0};
    struct text text;

    *argument = (struct argument){ARGUMENT_UNKNOWN, NULL};
    switch (word_tag(value)) {
    case TAG_NOTHING:
    case TAG_UNKNOWN:
        return;
    case TAG_NONE:
        argument->kind = ARGUMENT_NONE;
        return;
    case TAG_BOOL:
        *argument = (struct argument){ARGUMENT_BOOL, value >> 4 ? "True" : "False"};
        return;
    case TAG_INT:
        argument->kind = ARGUMENT_NUMBER;
        put_decimal(&rendering, (unsigned __int128)(word_int_value(value) < 0 ? -word_int_value(value)
                                                                               : word_int_value(value)),
                    word_int_value(value) < 0);
        break;
    case TAG_NUMBER:
        if (!put_number(machine, &rendering, value))
            return;
        argument->kind = ARGUMENT_NUMBER;
        break;
    case TAG_STRING:
    case TAG_STRING8:
        if (!text_load(machine, value, LIMIT_ARGUMENT_TEXT, &text))
            return;
        argument->kind = ARGUMENT_STRING;
        put_string(&rendering, &text);
        break;
    case TAG_BYTES:
    case TAG_ENCODED:
        if (!text_load(machine, value, LIMIT_ARGUMENT_TEXT, &text))
            return;
        argument->kind = ARGUMENT_BYTES;
        put_bytes(&rendering, &text);
        break;
    case TAG_GLOBAL:
        *argument = (struct argument){ARGUMENT_NAME, name_text(machine, value)};
        return;
    case TAG_OBJECT:
        *argument = (struct argument){ARGUMENT_OBJECT, name_text(machine, value)};
        return;
    case TAG_TUPLE:
    case TAG_LIST:
    case TAG_DICT:
    case TAG_SET:
        argument->kind = ARGUMENT_SEQUENCE;
        put_sequence(machine, &rendering, value, 0);
        break;
    }
    argument->text = arena_copy(machine->scan->arena, rendering.text, rendering.length);
    if (!argument->text)
        argument->kind = ARGUMENT_UNKNOWN;
}
