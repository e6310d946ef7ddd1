#include "json_bytes.h"

#include "utf8.h"

#include <string.h>

enum expect { EXPECT_VALUE, EXPECT_FIRST_VALUE, EXPECT_FIRST_KEY, EXPECT_KEY, EXPECT_SEPARATOR, EXPECT_NOTHING };

bool json_open(struct json *json, struct arena *arena, const struct source *source)
{
    memset(json, 0, sizeof(*json));
    if (!way_open(&json->way, arena) || !reader_open(&json->reader, arena, source, 0, source->size))
        return false;
    json->expect = EXPECT_VALUE;
    json_bytes_begin(json);
    return true;
}

static uint64_t offset_now(const struct json *json)
{
    return json->unit == 1 ? json->next_offset + (uint64_t)(json->next - json->filled) : json->next_offset;
}

static enum json_event fail(struct json *json, enum json_error error)
{
    if (json->error == JSON_ERROR_NONE)
        json->error = json->reader.error != 0 ? JSON_ERROR_IO : error;
    return JSON_FAILED;
}

/* Moves over white space. False at the end. */
static bool space_skip(struct json *json)
{
    while (json_ready(json)) {
        unsigned char c = *json->next;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return true;
        json->next++;
    }
    return false;
}

static bool hex4_take(struct json *json, unsigned *value)
{
    *value = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (!json_ready(json))
            return false;
        unsigned char c = *json->next++;
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20u) - 'a' + 10;
        else
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

/* Takes what follows a backslash and adds it to the text. */
static bool escape_take(struct json *json)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    unsigned char *out = (unsigned char *)json->text;
    unsigned high = json->high;

    json->high = 0;
    if (!json_ready(json))
        return false;
    unsigned char c = *json->next++;
    if (c != 'u') {
        const char *name = c != 0 ? memchr(names, c, sizeof(names) - 1) : NULL;
        if (name == NULL)
            return false;
        out[json->text_length++] = (unsigned char)values[name - names];
        return true;
    }
    unsigned unit;
    if (!hex4_take(json, &unit))
        return false;
    if (high != 0 && unit >= 0xDC00 && unit < 0xE000) {
        json->text_length -= 3;
        json->text_length += utf8_put(out + json->text_length, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
        return true;
    }
    if (unit >= 0xD800 && unit < 0xDC00)
        json->high = unit;
    json->text_length += utf8_put(out + json->text_length, unit);
    return true;
}

/* Reads on in a string until LIMIT_NAME bytes are together or it ends (in_string says which). A high surrogate at the
 * very end is held back for the next part, where its other half may stand. */
static bool string_part(struct json *json)
{
    json->text_length = json->high != 0 ? utf8_put((unsigned char *)json->text, json->high) : 0;
    while (json->in_string && json->text_length < LIMIT_NAME) {
        if (!json_ready(json))
            return false;
        unsigned char c = *json->next++;
        if (c == '"') {
            json->in_string = false;
            json->high = 0;
        } else if (c == '\\') {
            if (!escape_take(json))
                return false;
        } else if (c < 0x20) {
            return false;
        } else {
            json->high = 0;
            json->text[json->text_length++] = (char)c;
        }
    }
    if (json->high != 0)
        json->text_length -= 3;
    json->text[json->text_length] = '\0';
    json->cut = json->in_string;
    return true;
}

/* Begins a string whose quote has been taken. */
static bool string_begin(struct json *json)
{
    json->in_string = true;
    json->high = 0;
    return string_part(json);
}

static enum json_event key_take(struct json *json)
{
    if (*json->next != '"')
        return fail(json, JSON_ERROR_SYNTAX);
    json->offset = offset_now(json);
    json->next++;
    if (!string_begin(json))
        return fail(json, JSON_ERROR_SYNTAX);
    bool cut = json->cut;
    size_t length = json->text_length;
    way_key(&json->way, json->depth - 1, json->text, length);
    if (cut) {
        /* The rest is only checked. */
        char first[LIMIT_NAME + 1];
        memcpy(first, json->text, length);
        while (json->in_string)
            if (!string_part(json))
                return fail(json, JSON_ERROR_SYNTAX);
        memcpy(json->text, first, length);
        json->text[length] = '\0';
        json->text_length = length;
        json->cut = true;
    }
    if (!space_skip(json) || *json->next != ':')
        return fail(json, JSON_ERROR_SYNTAX);
    json->next++;
    json->expect = EXPECT_VALUE;
    return JSON_KEY;
}

static void value_ended(struct json *json)
{
    json->expect = json->depth == 0 ? EXPECT_NOTHING : EXPECT_SEPARATOR;
}

static enum json_event container_open(struct json *json, bool array)
{
    if (json->depth == LIMIT_JSON_DEPTH)
        return fail(json, JSON_ERROR_DEPTH);
    way_enter(&json->way, json->depth++, array);
    json->expect = array ? EXPECT_FIRST_VALUE : EXPECT_FIRST_KEY;
    return array ? JSON_ARRAY : JSON_OBJECT;
}

static enum json_event container_close(struct json *json)
{
    bool array = json->way.levels[json->depth - 1].array;

    way_leave(&json->way, --json->depth);
    value_ended(json);
    return array ? JSON_ARRAY_END : JSON_OBJECT_END;
}

static bool word_take(struct json *json, const char *word)
{
    for (; *word != '\0'; word++) {
        if (!json_ready(json) || *json->next != (unsigned char)*word)
            return false;
        json->next++;
    }
    return true;
}

/* Digits; at least one. */
static bool digits_take(struct json *json)
{
    bool any = false;

    for (; json_ready(json) && *json->next >= '0' && *json->next <= '9'; json->next++, any = true) {
        uint64_t digit = (uint64_t)(*json->next - '0');
        json->whole &= json->number <= (UINT64_MAX - digit) / 10;
        json->number = 10 * json->number + digit;
    }
    return any;
}

/* What stands after a number's leading minus, if it had one. A number that ends too early ("1." or "1e") is a complete
 * shorter one for Python too, with rubbish after it: an error either way. */
static bool number_take(struct json *json)
{
    if (!json_ready(json))
        return false;
    if (*json->next == '0')
        json->next++;
    else if (!digits_take(json))
        return false;
    if (json_ready(json) && *json->next == '.') {
        json->whole = false;
        json->next++;
        if (!digits_take(json))
            return false;
    }
    if (json_ready(json) && (*json->next | 0x20) == 'e') {
        json->whole = false;
        json->next++;
        if (json_ready(json) && (*json->next == '+' || *json->next == '-'))
            json->next++;
        if (!digits_take(json))
            return false;
    }
    return true;
}

static enum json_event word_value(struct json *json, const char *word, enum json_event event)
{
    if (!word_take(json, word))
        return fail(json, JSON_ERROR_SYNTAX);
    value_ended(json);
    return event;
}

static enum json_event value_take(struct json *json)
{
    unsigned char c = *json->next;

    json->offset = offset_now(json);
    json->number = 0;
    json->whole = true;
    switch (c) {
    case '{':
    case '[':
        json->next++;
        return container_open(json, c == '[');
    case '"':
        json->next++;
        if (!string_begin(json))
            return fail(json, JSON_ERROR_SYNTAX);
        value_ended(json);
        return JSON_STRING;
    case 't':
        return word_value(json, "true", JSON_TRUE);
    case 'f':
        return word_value(json, "false", JSON_FALSE);
    case 'n':
        return word_value(json, "null", JSON_NULL);
    case 'N':
        json->whole = false;
        return word_value(json, "NaN", JSON_NUMBER);
    case 'I':
        json->whole = false;
        return word_value(json, "Infinity", JSON_NUMBER);
    case '-':
        json->whole = false;
        json->next++;
        if (json_ready(json) && *json->next == 'I')
            return word_value(json, "Infinity", JSON_NUMBER);
        break;
    default:
        break;
    }
    if (!number_take(json))
        return fail(json, JSON_ERROR_SYNTAX);
    value_ended(json);
    return JSON_NUMBER;
}

/* After a value inside a container: a comma and what must follow it, or the end. */
static enum json_event separator_take(struct json *json)
{
    bool array = json->way.levels[json->depth - 1].array;
    unsigned char c = *json->next++;

    if (c == (array ? ']' : '}'))
        return container_close(json);
    if (c != ',' || !space_skip(json))
        return fail(json, JSON_ERROR_SYNTAX);
    if (!array)
        return key_take(json);
    way_element(&json->way, json->depth - 1);
    return value_take(json);
}

enum json_event json_next(struct json *json)
{
    if (json->error != JSON_ERROR_NONE)
        return JSON_FAILED;
    if (json->in_string) {
        if (!string_part(json))
            return fail(json, JSON_ERROR_SYNTAX);
        return JSON_STRING_MORE;
    }
    bool more = space_skip(json);
    if (json->reader.error != 0)
        return fail(json, JSON_ERROR_IO);
    if (json->expect == EXPECT_NOTHING)
        return more ? fail(json, JSON_ERROR_SYNTAX) : JSON_FINISHED;
    if (!more)
        return fail(json, JSON_ERROR_SYNTAX);
    switch ((enum expect)json->expect) {
    case EXPECT_FIRST_VALUE:
        if (*json->next == ']') {
            json->next++;
            return container_close(json);
        }
        way_element(&json->way, json->depth - 1);
        return value_take(json);
    case EXPECT_FIRST_KEY:
        if (*json->next != '}')
            return key_take(json);
        json->next++;
        return container_close(json);
    case EXPECT_SEPARATOR:
        return separator_take(json);
    default:
        return value_take(json);
    }
}

const unsigned char *json_head(const struct bid_view *view, unsigned char *narrow, size_t *length)
{
    const unsigned char *head = view->head;
    size_t narrowed = 0;

    *length = view->head_length;
    if (view->head_length < 4 || (head[0] != 0 && head[1] != 0 && head[0] < 0xFE))
        return head;
    for (size_t i = 0; i < view->head_length; i++)
        if (head[i] != 0 && head[i] < 0xFE)
            narrow[narrowed++] = head[i];
    *length = narrowed;
    return narrow;
}

bool json_text_is(const struct json *json, const char *word)
{
    return !json->cut && strlen(word) == json->text_length && memcmp(word, json->text, json->text_length) == 0;
}

size_t json_path(const struct json *json, char *buffer, size_t size)
{
    return way_text(&json->way, json->depth, buffer, size);
}
