#include "npy_header.h"

#include <string.h>

/* Structured types nest a few levels; numpy itself reads them by recursion. */
#define DEPTH_MAX 32u

struct literal {
    const unsigned char *at, *stop;
    const char *wrong; /* the first thing that is */
};

struct text {
    const unsigned char *start;
    size_t length;
    bool escaped; /* holds a backslash, so that it is not what it looks like */
};

/* A type, as far as it matters: what it holds and how many bytes an element takes. */
struct type {
    enum npy_elements elements;
    bool sized;
    uint64_t bytes;
};

static void fail(struct literal *literal, const char *wrong)
{
    if (!literal->wrong)
        literal->wrong = wrong;
}

static void space_skip(struct literal *literal)
{
    while (literal->at < literal->stop && (*literal->at == ' ' || *literal->at == '\n'))
        literal->at++;
}

static unsigned char next(struct literal *literal)
{
    space_skip(literal);
    return literal->at < literal->stop ? *literal->at : 0;
}

/* Takes `byte` if it is next. */
static bool take(struct literal *literal, unsigned char byte)
{
    if (next(literal) != byte)
        return false;
    literal->at++;
    return true;
}

static void expect(struct literal *literal, unsigned char byte)
{
    if (!take(literal, byte))
        fail(literal, "the header is no dict as numpy writes it");
}

static struct text text_take(struct literal *literal)
{
    struct text text = {0};
    unsigned char quote = next(literal);
    if (quote != '\'' && quote != '"') {
        fail(literal, "the header lacks a string where one belongs");
        return text;
    }
    text.start = ++literal->at;
    while (literal->at < literal->stop && *literal->at != quote) {
        if (*literal->at == '\\') {
            text.escaped = true;
            literal->at++;
        }
        if (literal->at < literal->stop)
            literal->at++;
    }
    if (literal->at >= literal->stop) {
        fail(literal, "a string in the header does not end");
        return text;
    }
    text.length = (size_t)(literal->at - text.start);
    literal->at++;
    /* 'O' '' is one string to Python, and nothing that numpy writes. */
    if (next(literal) == '\'' || next(literal) == '"')
        fail(literal, "adjacent strings in the header");
    return text;
}

/* A number of a shape; Python 2 wrote an L behind long ones. False: too large to count with. */
static bool number_take(struct literal *literal, uint64_t *value)
{
    bool fits = true;
    if (next(literal) < '0' || next(literal) > '9')
        fail(literal, "the header lacks a number where one belongs");
    *value = 0;
    while (literal->at < literal->stop && *literal->at >= '0' && *literal->at <= '9') {
        if (__builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (unsigned)(*literal->at - '0'), value))
            fits = false;
        literal->at++;
    }
    take(literal, 'L');
    return fits;
}

/* A shape: (), (3,), (2, 3) or a bare number. Returns whether the product is known. */
static bool shape_take(struct literal *literal, uint64_t *product)
{
    uint64_t value;
    bool known = true;
    *product = 1;
    if (!take(literal, '('))
        return number_take(literal, product);
    while (!literal->wrong && !take(literal, ')')) {
        known &= number_take(literal, &value);
        known &= !__builtin_mul_overflow(*product, value, product);
        if (!take(literal, ',') && next(literal) != ')')
            fail(literal, "the shape is no tuple");
    }
    return known;
}

/* A unit as in M8[ns], [25s] or [D/10]: no letter of it can make an object. */
static bool unit_ok(const unsigned char *at, const unsigned char *stop)
{
    if (at == stop)
        return true;
    return stop - at >= 2 && *at == '[' && stop[-1] == ']' && !memchr(at + 1, '[', (size_t)(stop - at - 1));
}

/* A type string is plain only in the shape that numpy writes: byte order, one letter of known meaning, the size. numpy
 * reads much more ("object", "i4,O"), and whatever is not plain is taken for objects, which costs a look. */
static struct type type_from_text(struct literal *literal, struct text text)
{
    const unsigned char *at = text.start, *stop;
    struct type type = {NPY_UNSURE, false, 0};
    if (literal->wrong || text.escaped || text.length == 0)
        return type;
    stop = at + text.length;
    if (*at == '<' || *at == '>' || *at == '|' || *at == '=')
        at++;
    if (at == stop)
        return type;
    unsigned char kind = *at++;
    uint64_t count = 0;
    size_t digits = 0;
    while (at < stop && *at >= '0' && *at <= '9' && digits++ < 18)
        count = count * 10 + (uint64_t)(*at++ - '0');
    if (kind == 'O' && at == stop) {
        type.elements = NPY_OBJECTS;
        return type;
    }
    bool dated = kind == 'M' || kind == 'm';
    if (!memchr("biufcSUVaMm", kind, 11) || (dated ? !unit_ok(at, stop) : at != stop))
        return type;
    type.elements = NPY_PLAIN;
    type.sized = digits > 0;
    type.bytes = kind == 'U' ? count * 4 : count;
    return type;
}

static struct type type_take(struct literal *literal, unsigned depth);

/* One field: (name or (title, name), type[, shape]). */
static struct type field_take(struct literal *literal, unsigned depth)
{
    uint64_t count;
    expect(literal, '(');
    if (take(literal, '(')) {
        text_take(literal);
        expect(literal, ',');
        text_take(literal);
        expect(literal, ')');
    } else {
        text_take(literal);
    }
    expect(literal, ',');
    struct type type = type_take(literal, depth + 1);
    if (take(literal, ',') && next(literal) != ')') {
        if (!shape_take(literal, &count) || __builtin_mul_overflow(type.bytes, count, &type.bytes))
            type.sized = false;
        take(literal, ',');
    }
    expect(literal, ')');
    return type;
}

static struct type fields_take(struct literal *literal, unsigned depth)
{
    struct type all = {NPY_PLAIN, true, 0};
    while (!literal->wrong && !take(literal, ']')) {
        struct type one = field_take(literal, depth);
        if (one.elements > all.elements)
            all.elements = one.elements;
        if (!one.sized || __builtin_add_overflow(all.bytes, one.bytes, &all.bytes))
            all.sized = false;
        if (!take(literal, ',') && next(literal) != ']')
            fail(literal, "the type's fields are no list");
    }
    return all;
}

/* A type: a string, a list of fields, or (type, shape). */
static struct type type_take(struct literal *literal, unsigned depth)
{
    uint64_t count;
    struct type type = {NPY_UNSURE, false, 0};
    if (depth > DEPTH_MAX)
        fail(literal, "the type is nested deeper than any real one");
    if (literal->wrong)
        return type;
    if (take(literal, '['))
        return fields_take(literal, depth);
    if (!take(literal, '('))
        return type_from_text(literal, text_take(literal));
    type = type_take(literal, depth + 1);
    expect(literal, ',');
    if (!shape_take(literal, &count) || __builtin_mul_overflow(type.bytes, count, &type.bytes))
        type.sized = false;
    take(literal, ',');
    expect(literal, ')');
    return type;
}

static bool word_take(struct literal *literal, const char *word)
{
    size_t length = strlen(word);
    space_skip(literal);
    if ((size_t)(literal->stop - literal->at) < length || memcmp(literal->at, word, length) != 0)
        return false;
    literal->at += length;
    return true;
}

static bool key_is(struct text key, const char *name)
{
    return !key.escaped && key.length == strlen(name) && memcmp(key.start, name, key.length) == 0;
}

const char *npy_header_parse(const unsigned char *text, size_t length, struct npy_header *header)
{
    struct literal literal = {text, text + length, NULL};
    struct type type = {NPY_UNSURE, false, 0};
    uint64_t count = 0;
    bool counted = false;
    unsigned seen = 0;
    expect(&literal, '{');
    while (!literal.wrong && !take(&literal, '}')) {
        unsigned bit = 0;
        struct text key = text_take(&literal);
        expect(&literal, ':');
        if (key_is(key, "descr")) {
            bit = 1;
            type = type_take(&literal, 0);
        } else if (key_is(key, "fortran_order")) {
            bit = 2;
            if (!word_take(&literal, "True") && !word_take(&literal, "False"))
                fail(&literal, "fortran_order is no boolean");
        } else if (key_is(key, "shape")) {
            bit = 4;
            counted = shape_take(&literal, &count);
        }
        if (bit == 0 || (seen & bit))
            fail(&literal, "the header's keys are not descr, fortran_order and shape, each once");
        seen |= bit;
        if (!take(&literal, ',') && next(&literal) != '}')
            fail(&literal, "the header is no dict as numpy writes it");
    }
    space_skip(&literal);
    if (literal.at != literal.stop)
        fail(&literal, "something follows the header's dict");
    if (seen != 7)
        fail(&literal, "the header's keys are not descr, fortran_order and shape, each once");
    if (literal.wrong)
        return literal.wrong;
    header->elements = type.elements;
    header->sized = type.sized && counted && !__builtin_mul_overflow(type.bytes, count, &header->bytes);
    return NULL;
}
