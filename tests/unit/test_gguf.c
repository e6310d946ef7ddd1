/* GGUF by hand: every version and byte order, nested arrays, templates, lengths that lie. */
#include "told.h"

#include <string.h>

static void number(struct bytes *bytes, bool big, uint64_t value, unsigned size)
{
    if (big)
        bytes_be(bytes, value, size);
    else
        bytes_le(bytes, value, size);
}

struct shape {
    bool big;
    unsigned version;
};

static void counted(struct bytes *bytes, struct shape shape, uint64_t value)
{
    number(bytes, shape.big, value, shape.version == 1 ? 4 : 8);
}

static void string(struct bytes *bytes, struct shape shape, const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    counted(bytes, shape, length);
    bytes_text(bytes, text);
}

static void begin(struct bytes *bytes, struct shape shape, uint64_t tensors, uint64_t pairs)
{
    bytes->length = 0;
    bytes_text(bytes, "GGUF");
    number(bytes, shape.big, shape.version, 4);
    counted(bytes, shape, tensors);
    counted(bytes, shape, pairs);
}

static void pair(struct bytes *bytes, struct shape shape, const char *key, unsigned type)
{
    string(bytes, shape, key);
    number(bytes, shape.big, type, 4);
}

static void tensor(struct bytes *bytes, struct shape shape, uint64_t first, uint64_t second)
{
    string(bytes, shape, "token_embd.weight");
    number(bytes, shape.big, 2, 4);
    counted(bytes, shape, first);
    counted(bytes, shape, second);
    number(bytes, shape.big, 0, 4);
    number(bytes, shape.big, 0, 8);
}

static const char escape[] = "{{ messages.__class__.__mro__ }}";
static const char ordinary[] = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m.content | trim }}{% endfor %}";

static void every_type(struct bytes *bytes, struct shape shape, const char *template)
{
    static const unsigned sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    static const char *const keys[13] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "", "", "k10", "k11", "k12"};
    begin(bytes, shape, 1, 14);
    for (unsigned type = 0; type < 13; type++) {
        if (!sizes[type])
            continue;
        pair(bytes, shape, keys[type], type);
        number(bytes, shape.big, type, sizes[type]);
    }
    pair(bytes, shape, "tokenizer.ggml.tokens", 9);
    number(bytes, shape.big, 8, 4);
    counted(bytes, shape, 2);
    string(bytes, shape, "<s>");
    string(bytes, shape, "__class__");
    pair(bytes, shape, "nested", 9);
    number(bytes, shape.big, 9, 4);
    counted(bytes, shape, 2);
    number(bytes, shape.big, 5, 4);
    counted(bytes, shape, 3);
    bytes_text(bytes, "0123456789ab");
    number(bytes, shape.big, 8, 4);
    counted(bytes, shape, 1);
    string(bytes, shape, "x");
    pair(bytes, shape, "tokenizer.chat_template.tool_use", 8);
    string(bytes, shape, template);
    tensor(bytes, shape, 4, 4);
}

static void test_versions(void)
{
    static const struct shape shapes[] = {{false, 1}, {false, 2}, {false, 3}, {true, 1}, {true, 2}, {true, 3}};
    static struct bytes bytes;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        every_type(&bytes, shapes[i], ordinary);
        check(bids(&format_gguf, &bytes), "the version and byte order are recognised");
        check_equal(told_bytes(&bytes), "is gguf\n", "all value types, an ordinary template: nothing to say");
        every_type(&bytes, shapes[i], escape);
        const char *text = told_bytes(&bytes);
        char line[128] = "code template-escape(\"__class__\") tokenizer.chat_template.tool_use @";
        check(bids(&format_gguf, &bytes) && strncmp(text, "is gguf\n", 8) == 0 &&
                  strncmp(text + 8, line, strlen(line)) == 0,
              "the same with a template that escapes");
    }
    damage_all(&bytes);
}

static void test_template_places(void)
{
    static struct bytes bytes;
    struct shape shape = {false, 3};
    begin(&bytes, shape, 0, 1);
    pair(&bytes, shape, "tokenizer.chat_templates", 9);
    bytes_le(&bytes, 8, 4);
    counted(&bytes, shape, 2);
    string(&bytes, shape, ordinary);
    string(&bytes, shape, escape);
    check(strstr(told_bytes(&bytes), "code template-escape") != NULL, "a template in an array");

    /* Longer than the window, and found at its end. */
    static char padded[100000];
    memset(padded, ' ', sizeof padded);
    memcpy(padded + sizeof padded - sizeof escape, escape, sizeof escape);
    begin(&bytes, shape, 0, 2);
    pair(&bytes, shape, "tokenizer.chat_template", 8);
    string(&bytes, shape, padded);
    pair(&bytes, shape, "general.base_model.0.repo_url", 8);
    string(&bytes, shape, "https://example.org/base");
    check_equal(told_bytes(&bytes),
                "is gguf\n"
                "code template-escape(\"__class__\") tokenizer.chat_template @67\n"
                "depend https://example.org/base general.base_model.0.repo_url @100115\n",
                "a long template, and what comes behind it");

    begin(&bytes, shape, 0, 3);
    pair(&bytes, shape, "general.description", 8);
    string(&bytes, shape, escape);
    pair(&bytes, shape, "general.base_model.0.url", 8);
    string(&bytes, shape, "https://example.org/paper");
    pair(&bytes, shape, "general.source.huggingface.repository", 8);
    string(&bytes, shape, "org/name");
    check_equal(told_bytes(&bytes), "is gguf\ndepend org/name general.source.huggingface.repository @221\n",
                "what is no template is none");

    begin(&bytes, shape, 0, 2);
    pair(&bytes, shape, "prompt", 8);
    string(&bytes, shape, "text of __class__ and {");
    pair(&bytes, shape, "tokenizer.prompt", 8);
    string(&bytes, shape, "text {% set x = y.__globals__ %}");
    check_equal(told_bytes(&bytes), "is gguf\ncode template-escape(\"__globals__\") tokenizer.prompt @109\n",
                "a template under a key that nobody knows");
}

static void test_lies(void)
{
    static struct bytes bytes;
    struct shape shape = {false, 3};
    begin(&bytes, shape, 0, UINT64_MAX);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-count @24\n", "more pairs than there is room for");
    begin(&bytes, shape, UINT64_MAX / 8, 0);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-count @24\n", "more tensors than there is room for");
    begin(&bytes, shape, 0, 1);
    counted(&bytes, shape, UINT64_MAX);
    bytes_fill(&bytes, 64);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-count @32\n", "a key as long as memory");
    begin(&bytes, shape, 0, 1);
    pair(&bytes, shape, "k", 9);
    bytes_le(&bytes, 10, 4);
    counted(&bytes, shape, UINT64_MAX / 8 + 1);
    bytes_fill(&bytes, 128);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-count @49\n", "an array whose size wraps around");
    begin(&bytes, shape, 0, 1);
    pair(&bytes, shape, "key", 13);
    bytes_fill(&bytes, 128);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-type @39\n", "a type that there is not");
    begin(&bytes, shape, 0, 1);
    pair(&bytes, shape, "k", 9);
    bytes_le(&bytes, 77, 4);
    counted(&bytes, shape, 1);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-type @49\n", "an array of such");
    begin(&bytes, shape, 0, 1);
    pair(&bytes, shape, "key", 9);
    for (unsigned i = 0; i < 1000; i++) {
        bytes_le(&bytes, 9, 4);
        counted(&bytes, shape, 1);
    }
    check(strstr(told_bytes(&bytes), "malformed gguf-depth") != NULL, "arrays in arrays in arrays");
    begin(&bytes, shape, 1, 0);
    tensor(&bytes, shape, 1ull << 40, 1ull << 40);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-tensor @24\n", "a tensor larger than any address");
    begin(&bytes, shape, 1, 0);
    tensor(&bytes, shape, 0, 1ull << 40);
    check_equal(told_bytes(&bytes), "is gguf\n", "an empty one is none");
    begin(&bytes, shape, 0, 2);
    pair(&bytes, shape, "same", 7);
    bytes_le(&bytes, 1, 1);
    pair(&bytes, shape, "same", 7);
    bytes_le(&bytes, 0, 1);
    check_equal(told_bytes(&bytes), "is gguf\nmalformed gguf-duplicate-key @41\n", "a key that stands twice");
    bytes.length -= 1;
    check(strstr(told_bytes(&bytes), "malformed gguf-truncated") != NULL, "the end is missing");
}

static void test_others(void)
{
    static struct bytes bytes;
    bytes_text(&bytes, "GGUF is a format of files, and this is a text about it.\n");
    check(!bids(&format_gguf, &bytes), "text that begins with the four letters");
    begin(&bytes, (struct shape){false, 0}, 0, 0);
    check(!bids(&format_gguf, &bytes), "no version");
    begin(&bytes, (struct shape){false, 4}, 0, 0);
    check_equal(told_bytes(&bytes), "is gguf\nopaque gguf-version @4\n", "a later version");
}

int main(void)
{
    test_versions();
    test_template_places();
    test_lies();
    test_others();
    return checks_end();
}
