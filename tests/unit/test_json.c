/* The JSON reader accepts what CPython's json.loads accepts; what it tells of keys, strings and places is right. The
 * verdicts of the table were taken from CPython 3.11 (json.loads of bytes). */
#include "../../analyzer/arena.h"
#include "../../analyzer/json.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static void *take(void *context, size_t bytes)
{
    *(size_t *)context += bytes;
    return calloc(1, bytes);
}

static void give(void *context, void *pointer, size_t bytes)
{
    *(size_t *)context -= bytes;
    free(pointer);
}

/* Bytes that come `step` at a time. */
struct dribble {
    const char *data;
    size_t length, step;
};

static ssize_t dribble_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct dribble *dribble = context;
    size_t left = offset < dribble->length ? dribble->length - (size_t)offset : 0;

    length = length < left ? length : left;
    length = length < dribble->step ? length : dribble->step;
    memcpy(buffer, dribble->data + offset, length);
    return (ssize_t)length;
}

/* A run over `data`: the events, a line each ("key a.b 'text' @offset"), into `told`. Returns the last event. */
static enum json_event run(const char *data, size_t length, size_t step, char *told, size_t size)
{
    static const char *const names[] = {"failed", "finished", "{",      "}",    "[",     "]",   "key",
                                        "string", "more",     "number", "true", "false", "null"};
    char *copy = malloc(length > 0 ? length : 1), way[256];
    size_t taken = 0, used = 0;
    memcpy(copy, data, length);
    struct dribble dribble = {copy, length, step};
    struct source source = {.pread = dribble_pread, .context = &dribble, .size = length};
    struct scan_memory memory = {.take = take, .give = give, .context = &taken};
    struct arena arena;
    struct json *json = malloc(sizeof(*json));
    enum json_event event;

    arena_open(&arena, &memory);
    if (!json_open(json, &arena, &source))
        abort();
    told[0] = '\0';
    do {
        event = json_next(json);
        json_path(json, way, sizeof(way));
        bool text = event == JSON_KEY || event == JSON_STRING || event == JSON_STRING_MORE;
        if (used < size)
            used += (size_t)snprintf(told + used, size - used, text ? "%s %s '%.40s'%s @%u\n" : "%s %s\n", names[event],
                                     way, json->text, json->cut ? "..." : "", (unsigned)json->offset);
    } while (event != JSON_FAILED && event != JSON_FINISHED);
    if (json_next(json) != event)
        event = JSON_NULL; /* the end must come again */
    arena_close(&arena);
    free(json);
    free(copy);
    return taken == 0 ? event : JSON_NULL;
}

static char told[65536];

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *data;
    size_t length;
    bool accepted;
} table[] = {
    {BYTES("{}"), true},
    {BYTES(" [ ] \n"), true},
    {BYTES("\"a\""), true},
    {BYTES("1"), true},
    {BYTES("-0.5e+3"), true},
    {BYTES("0"), true},
    {BYTES("1e5"), true},
    {BYTES("[NaN, Infinity, -Infinity]"), true},
    {BYTES("[true,false,null]"), true},
    {BYTES("\"\\ud83d\\ude00 \\ud800 \\udc00\\ud800\""), true},
    {BYTES("{\"a\":1,\"a\":2}"), true},
    {BYTES("\xef\xbb\xbf{}"), true},
    {BYTES("\xff\xfe[\0"
           "1\0]\0"),
     true},
    {BYTES("\xfe\xff\0[\0"
           "1\0]"),
     true},
    {BYTES("[\0"
           "1\0]\0"),
     true},
    {BYTES("\0[\0"
           "1\0]"),
     true},
    {BYTES("[\0\0\0"
           "1\0\0\0]\0\0\0"),
     true},
    {BYTES("\0\0\0[\0\0\0]"), true},
    {BYTES("\xff\xfe\0\0[\0\0\0]\0\0\0"), true},
    {BYTES(""), false},
    {BYTES("   "), false},
    {BYTES("-"), false},
    {BYTES("01"), false},
    {BYTES("1."), false},
    {BYTES(".5"), false},
    {BYTES("+1"), false},
    {BYTES("1e"), false},
    {BYTES("-NaN"), false},
    {BYTES("nul"), false},
    {BYTES("[1,]"), false},
    {BYTES("[1 2]"), false},
    {BYTES("[,1]"), false},
    {BYTES("{\"a\"}"), false},
    {BYTES("{\"a\":}"), false},
    {BYTES("{\"a\":1,}"), false},
    {BYTES("{1:2}"), false},
    {BYTES("{'a':1}"), false},
    {BYTES("{} x"), false},
    {BYTES("{}\0"), false},
    {BYTES("[1]]"), false},
    {BYTES("{\"a\":1]"), false},
    {BYTES("[\"\t\"]"), false},
    {BYTES("[\"\\x\"]"), false},
    {BYTES("[\"\\u12G4\"]"), false},
    {BYTES("[\"\\u123"), false},
    {BYTES("[\"a"), false},
    {BYTES("// comment\n{}"), false},
    {BYTES("\f{}"), false},
    {BYTES("\xc2\xa0{}"), false},
};

/* The text as a test's name may show it. */
static const char *shown(const char *data, size_t length)
{
    static char name[32];
    size_t used = 0;

    for (size_t i = 0; i < length && used < sizeof(name) - 1; i++)
        name[used++] = data[i] > ' ' && data[i] < 0x7f && data[i] != '#' ? data[i] : '.';
    name[used] = '\0';
    return name;
}

static void test_table(void)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        enum json_event wanted = table[i].accepted ? JSON_FINISHED : JSON_FAILED;
        bool good = true;
        for (size_t step = 1; step < 8; step += 3)
            good = good && run(table[i].data, table[i].length, step, told, sizeof(told)) == wanted;
        unit_ok(good, "%zu: %s %s", i, table[i].accepted ? "accepts" : "refuses",
                shown(table[i].data, table[i].length));
    }
}

static void test_events(void)
{
    static const char text[] = "{\"a\":{\"b\":[1,\"x\",{\"c\":null}],\"d\":[]},\"e\":true}";
    static const char wanted[] =
        "{ \nkey a 'a' @1\n{ a\nkey a.b 'b' @6\n[ a.b\nnumber a.b[0]\nstring a.b[1] 'x' @13\n{ a.b[2]\n"
        "key a.b[2].c 'c' @18\nnull a.b[2].c\n} a.b[2]\n] a.b\nkey a.d 'd' @29\n[ a.d\n] a.d\n} a\nkey e 'e' @37\ntrue "
        "e\n"
        "} \nfinished \n";

    run(text, sizeof(text) - 1, 1000, told, sizeof(told));
    if (!unit_ok(strcmp(told, wanted) == 0, "events, ways and offsets"))
        printf("# %s", told);
    run(BYTES("{\"auto\\u005fmap\":\"\\u0000\\ud83d\\ude00\\ud800x\\/\\n\\\"\"}"), 1, told, sizeof(told));
    if (!unit_ok(
            strstr(told,
                   "key auto_map 'auto_map' @1\nstring auto_map '\xc0\x80\xf0\x9f\x98\x80\xed\xa0\x80x/\n\"' @17\n"),
            "escapes in keys and values"))
        printf("# %s", told);
    run(BYTES("{\"a\":1,\"a\":2,\"a\":[3]}"), 2, told, sizeof(told));
    unit_ok(strstr(told, "key a 'a' @1\nnumber a\nkey a 'a' @7\nnumber a\nkey a 'a' @13\n[ a\nnumber a[0]\n] a\n"),
            "every reading of a duplicate key");
    run(BYTES("[\0\"\0\x3d\xd8\x00\xde\"\0]\0"), 3, told, sizeof(told));
    unit_ok(strstr(told, "string [0] '\xf0\x9f\x98\x80'"), "a surrogate pair of UTF-16");
}

static void test_long_strings(void)
{
    /* Every place of a surrogate pair and of an escape at the end of a part. */
    char *text = malloc(4 * LIMIT_NAME), *string = malloc(4 * LIMIT_NAME);
    bool good = true;

    for (size_t before = LIMIT_NAME - 14; before < LIMIT_NAME + 4; before++) {
        size_t length = 0;
        text[length++] = '"';
        memset(text + length, 'a', before);
        length += before;
        memcpy(text + length, "\\ud83d\\ude00\\ud800\\ud800b\"", 26);
        length += 26;
        struct source_memory memory = {(const unsigned char *)text, length};
        struct source source = source_from_memory(&memory);
        size_t taken = 0, got = 0;
        struct scan_memory from = {.take = take, .give = give, .context = &taken};
        struct arena arena;
        struct json json;
        arena_open(&arena, &from);
        if (!json_open(&json, &arena, &source))
            abort();
        for (enum json_event event; (event = json_next(&json)) == JSON_STRING || event == JSON_STRING_MORE;) {
            memcpy(string + got, json.text, json.text_length);
            got += json.text_length;
            good = good && json.text[json.text_length] == '\0' && json.text_length <= LIMIT_NAME + 4;
        }
        good = good && json.error == JSON_ERROR_NONE && got == before + 11 &&
               memcmp(string + before,
                      "\xf0\x9f\x98\x80\xed\xa0\x80\xed\xa0\x80"
                      "b",
                      11) == 0;
        arena_close(&arena);
    }
    unit_ok(good, "long strings come whole, in parts that tear no surrogate pair");

    size_t length = (size_t)snprintf(text, 4 * LIMIT_NAME, "{\"%0*d\": 1, \"b\": {\"c\": 2}}", 3 * LIMIT_NAME, 7);
    enum json_event event = run(text, length, 100, told, sizeof(told));
    unit_ok(event == JSON_FINISHED && strstr(told, "'... @1\n") && strstr(told, "number b.c\n"),
            "a long key is cut, and forgotten");
    length = (size_t)snprintf(text, 4 * LIMIT_NAME, "{\"%0*d\n\": 1}", 3 * LIMIT_NAME, 7);
    unit_ok(run(text, length, 100, told, sizeof(told)) == JSON_FAILED, "what is cut of a key is checked all the same");
    free(text);
    free(string);
}

static void test_depth(void)
{
    char text[2 * LIMIT_JSON_DEPTH + 8];

    memset(text, '[', LIMIT_JSON_DEPTH);
    memset(text + LIMIT_JSON_DEPTH, ']', LIMIT_JSON_DEPTH);
    unit_ok(run(text, 2 * LIMIT_JSON_DEPTH, 10000, told, sizeof(told)) == JSON_FINISHED, "nested as deep as the limit");
    memset(text, '[', LIMIT_JSON_DEPTH + 1);
    unit_ok(run(text, LIMIT_JSON_DEPTH + 1, 10000, told, sizeof(told)) == JSON_FAILED, "nested deeper");
}

static ssize_t fail_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    (void)context;
    if (offset >= 3)
        return -5;
    length = length < 3 - (size_t)offset ? length : 3 - (size_t)offset;
    memcpy(buffer, &"[1,"[offset], length);
    return (ssize_t)length;
}

static void test_source_fails(void)
{
    struct source source = {.pread = fail_pread, .size = 100};
    size_t taken = 0;
    struct scan_memory memory = {.take = take, .give = give, .context = &taken};
    struct arena arena;
    struct json json;

    arena_open(&arena, &memory);
    bool opened = json_open(&json, &arena, &source);
    while (opened && json_next(&json) != JSON_FAILED)
        ;
    unit_ok(opened && json.error == JSON_ERROR_IO && json.reader.error == 5,
            "a source that fails is no end of the text");
    arena_close(&arena);
}

int main(void)
{
    test_table();
    test_events();
    test_long_strings();
    test_depth();
    test_source_fails();
    return unit_done();
}
