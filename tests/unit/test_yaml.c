/* The YAML reader: events, ways and limits. Its agreement with PyYAML is tests/python/test_yaml_reader.py's. */
#include "../../analyzer/arena.h"
#include "../../analyzer/yaml.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static void *take(void *context, size_t bytes)
{
    (void)context;
    return calloc(1, bytes);
}

static void give(void *context, void *pointer, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(pointer);
}

static char told[8192];

static void event_tell(const struct yaml *yaml, enum json_event event)
{
    static const char signs[] = {
        [JSON_FAILED] = 'F',      [JSON_FINISHED] = '.',  [JSON_OBJECT] = '{', [JSON_OBJECT_END] = '}',
        [JSON_ARRAY] = '[',       [JSON_ARRAY_END] = ']', [JSON_KEY] = 'k',    [JSON_STRING] = 's',
        [JSON_STRING_MORE] = '+', [JSON_TRUE] = 't',      [JSON_FALSE] = 'f',  [JSON_NULL] = 'n',
        [JSON_TAG] = '!'};
    bool text = event == JSON_KEY || event == JSON_STRING || event == JSON_STRING_MORE || event == JSON_TAG;
    size_t used = strlen(told);

    snprintf(told + used, sizeof(told) - used, text ? "%c(%s)" : "%c", signs[event], yaml->text);
}

/* Reads `text` and leaves its events in `told`; `way` (NULL: none) receives the way to the first text "HERE". */
static void read_text(const char *text, size_t length, bool card, char *way, size_t way_size)
{
    struct source_memory bytes = {(const unsigned char *)text, length};
    struct source source = source_from_memory(&bytes);
    struct scan_memory memory = {.take = take, .give = give};
    struct arena arena;
    enum json_event event;

    arena_open(&arena, &memory);
    struct yaml *yaml = arena_take(&arena, sizeof(*yaml));
    told[0] = '\0';
    if (!yaml || !(card ? yaml_open_front_matter : yaml_open)(yaml, &arena, &source))
        exit(2);
    do {
        event = yaml_next(yaml);
        event_tell(yaml, event);
        if (way && event == JSON_STRING && strcmp(yaml->text, "HERE") == 0)
            way_text(&yaml->way, yaml->depth, way, way_size);
    } while (event != JSON_FAILED && event != JSON_FINISHED);
    arena_close(&arena);
}

static void reads(const char *name, const char *text, const char *wanted)
{
    read_text(text, strlen(text), false, NULL, 0);
    if (!unit_ok(strcmp(told, wanted) == 0, "%s", name))
        printf("# %s\n", told);
}

static void test_structure(void)
{
    reads("block mappings and sequences", "a:\n- x\n- y: 1\n  z: null\nb: true\n", "{k(a)[s(x){k(y)s(1)k(z)n}]k(b)t}.");
    reads("flow collections", "[a, {b: c, d}, e: f, \"g\":h]", "[s(a){k(b)s(c)k(d)}{k(e)s(f)}{k(g)s(h)}].");
    reads("explicit keys", "? a\n: b\n? [c]\n: d\n", "{k()k(a)s(b)k()[s(c)]s(d)}.");
    reads("quoting", "'a''b': \"\\x41\\u00e9\\\n  c\"\n", "{k(a'b)s(A\xc3\xa9" "c)}.");
    reads("plain texts over several lines", "a: b\n  c # d\ne: f#g\n", "{k(a)s(b c)k(e)s(f#g)}.");
    reads("block scalars", "a: |\n  x: y\n\n   z\nb: >-\n  c\n  d\n", "{k(a)s(x: y\n\n z)k(b)s(c d)}.");
    reads("documents", "a: b\n---\nc\n...\n", "{k(a)s(b)}s(c).");
    reads("comments", "# a\nb: # c\n  d\n", "{k(b)s(d)}.");
    reads("nothing", "", ".");
}

static void test_tags(void)
{
    reads("short, verbatim and escaped", "[!!str a, !<x,y> b, !c%3ad e]",
          "[!(tag:yaml.org,2002:str)s(a)!(x,y)s(b)!(!c:d)s(e)].");
    reads("handles", "%TAG ! t:\n%TAG !e! tag:e,\n---\n- !a b\n- !e!c d\n", "[!(t:a)s(b)!(tag:e,c)s(d)].");
    reads("anchors and aliases", "a: &x b\nc: *x\n*x : d\ne: &y [1]\nf: *y\n",
          "{k(a)s(b)k(c)s(b)k(b)s(d)k(e)[s(1)]k(f)n}.");
}

static void test_ways(void)
{
    static const char text[] = "a:\n- b\n- c:\n    d: [x, {e: HERE}]\n";
    char way[64] = "", text_of_depth[3000];

    read_text(text, strlen(text), false, way, sizeof(way));
    unit_ok(strcmp(way, "a[1].c.d[1].e") == 0, "the way to a value: %s", way);
    memset(text_of_depth, '[', sizeof(text_of_depth));
    read_text(text_of_depth, sizeof(text_of_depth), false, NULL, 0);
    unit_ok(told[strlen(told) - 1] == 'F', "deeper than the limit fails");
}

static void test_long(void)
{
    size_t length = 5000;
    char *text = malloc(length + 8);

    memcpy(text, "a: '", 4);
    memset(text + 4, 'x', length);
    memcpy(text + 4 + length, "'\n", 3);
    read_text(text, length + 6, false, NULL, 0);
    unit_ok(strstr(told, "+(xxx") != NULL && strlen(told) > length, "a long text comes in parts");
    free(text);
}

static void test_front_matter(void)
{
    static const char card[] = "---\na: b\n---\n# Title\nc: d\n", plain[] = "# Title\na: b\n";

    read_text(card, strlen(card), true, NULL, 0);
    unit_ok(strcmp(told, "{k(a)s(b)}.") == 0, "front matter ends where it ends: %s", told);
    read_text(plain, strlen(plain), true, NULL, 0);
    unit_ok(strcmp(told, ".") == 0, "a text without");
}

int main(void)
{
    test_structure();
    test_tags();
    test_ways();
    test_long();
    test_front_matter();
    return unit_done();
}
