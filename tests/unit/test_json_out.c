/* What the JSON writer writes is JSON at every size of the buffer, and says when something is missing. */
#include "../../analyzer/arena.h"
#include "../../analyzer/json.h"
#include "../../preload/json_out.h"
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

/* Does our own reader, which follows Python's, accept it? */
static bool is_json(const char *text)
{
    struct source_memory memory = {(const unsigned char *)text, strlen(text)};
    struct source source = source_from_memory(&memory);
    struct scan_memory from = {.take = take, .give = give};
    struct arena arena;
    struct json json;
    enum json_event event = JSON_FAILED;

    arena_open(&arena, &from);
    if (json_open(&json, &arena, &source))
        do
            event = json_next(&json);
        while (event != JSON_FAILED && event != JSON_FINISHED);
    arena_close(&arena);
    return event == JSON_FINISHED;
}

static void write_all(struct json_out *out, char *buffer, size_t size)
{
    json_out_start(out, buffer, size);
    json_out_object(out, NULL);
    json_out_string(out, "a\"\xff", "\xc3\xa9\n\x01\x7f\\\xc0\x80\xed\xa0\x80\xf0\x9f\x98\x80\xf5\xe2\x82");
    json_out_array(out, "list");
    json_out_number(out, NULL, INT64_MIN);
    json_out_object(out, NULL);
    json_out_bool(out, "yes", true);
    json_out_close_object(out);
    json_out_null(out, NULL);
    json_out_array(out, NULL);
    json_out_close_array(out);
    json_out_close_array(out);
    json_out_string(out, "none", NULL);
    json_out_number(out, "max", INT64_MAX);
    json_out_number(out, "zero", 0);
    json_out_bool(out, "no", false);
    json_out_close_object(out);
}

int main(void)
{
    static const char wanted[] =
        "{\"a\\\"\\udcff\":"
        "\"\xc3\xa9\\n\\u0001\x7f\\\\\\udcc0\\udc80\\udced\\udca0\\udc80\xf0\x9f\x98\x80\\udcf5\\udce2\\udc82\","
        "\"list\":[-9223372036854775808,{\"yes\":true},null,[]],\"none\":null,\"max\":9223372036854775807,\"zero\":0,"
        "\"no\":false}";
    char *buffer = malloc(1024);
    struct json_out out;

    write_all(&out, buffer, 1024);
    if (!unit_ok(strcmp(buffer, wanted) == 0 && out.length == strlen(buffer) && !out.truncated, "every kind of value"))
        printf("# %s\n", buffer);
    size_t full = out.length;
    bool valid = true, told = true;
    for (size_t size = 3; size <= full; size++) {
        char *exact = malloc(size);
        write_all(&out, exact, size);
        valid = valid && is_json(exact) && out.length < size;
        told = told && out.truncated;
        free(exact);
    }
    unit_ok(valid, "JSON at every size of the buffer");
    unit_ok(told, "what is left out is told");
    write_all(&out, buffer, full + 1);
    unit_ok(!out.truncated && out.length == full, "a buffer that just holds it");
    for (size_t size = 0; size < 3; size++)
        write_all(&out, buffer, size);
    unit_ok(out.truncated && out.length == 0, "a buffer that holds nothing");
    free(buffer);
    return unit_done();
}
