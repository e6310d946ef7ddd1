#include "../../preload/hint.h"
#include "unit.h"

#include <string.h>

static void text_is(const char *text, const char *wanted)
{
    if (!unit_ok(strcmp(text, wanted) == 0, "%s", wanted))
        printf("# got %s\n", text);
}

static const char *word(const char *text)
{
    static char buffer[256];
    struct line line = {buffer, sizeof(buffer), 0};

    line_put_word(&line, text);
    return buffer;
}

static void test_words_of_a_shell(void)
{
    text_is(word("mypkg.rebuild"), "mypkg.rebuild");
    text_is(word("hf:org/name@0123"), "hf:org/name@0123");
    text_is(word(""), "''");
    text_is(word("a b"), "'a b'");
    text_is(word("a*"), "'a*'");
    text_is(word("x'; touch y; '"), "'x'\\''; touch y; '\\'''");
    text_is(word("$(id)`id`"), "'$(id)`id`'");
}

static void test_what_is_shown(void)
{
    char buffer[256];
    struct line line = {buffer, sizeof(buffer), 0};

    line_put_visible(&line, "a\n\033[2J\x7f \xc3\xbc \xe2\x80\xae \xe2\x80\xa8 \xc2\x9b \xff \xc3");
    text_is(buffer, "a\\x0a\\x1b[2J\\x7f \xc3\xbc \\xe2\\x80\\xae \\xe2\\x80\\xa8 \\xc2\\x9b \\xff \\xc3");
}

static void test_what_does_not_fit(void)
{
    char buffer[8];
    struct line line = {buffer, sizeof(buffer), 0};

    line_put(&line, "abcdef");
    line_put_visible(&line, "\xc3\xbc");
    text_is(buffer, "abcdef");
    line_put_visible(&line, "gh");
    text_is(buffer, "abcdefg");
}

static void test_hint(void)
{
    char buffer[256];
    struct line line = {buffer, sizeof(buffer), 0};
    const struct hint hint = {.effect = "call", .name = "mypkg.rebuild", .model = "hf:org/name", .revision = "c0ffee"};

    hint_put(&line, &hint);
    text_is(buffer, "guard policy add --to policy.json call mypkg.rebuild --model hf:org/name@c0ffee");
}

int main(void)
{
    test_words_of_a_shell();
    test_what_is_shown();
    test_what_does_not_fit();
    test_hint();
    return unit_done();
}
