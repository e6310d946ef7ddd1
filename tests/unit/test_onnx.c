/* ONNX by hand: external data, foreign operators and local functions at every depth, and what is no ONNX. */
#include "told.h"

#include <string.h>

/* A message is made from the inside out. */
struct message {
    unsigned char data[4096];
    size_t length;
};

static void put(struct message *message, const void *data, size_t length)
{
    memcpy(message->data + message->length, data, length);
    message->length += length;
}

static void varint(struct message *message, uint64_t value)
{
    do {
        unsigned char byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put(message, &byte, 1);
        value >>= 7;
    } while (value);
}

static void number(struct message *message, unsigned field, uint64_t value)
{
    varint(message, field << 3);
    varint(message, value);
}

static void text(struct message *message, unsigned field, const char *content)
{
    varint(message, field << 3 | 2);
    varint(message, strlen(content));
    put(message, content, strlen(content));
}

static void inside(struct message *message, unsigned field, const struct message *content)
{
    varint(message, field << 3 | 2);
    varint(message, content->length);
    put(message, content->data, content->length);
}

static struct message node(const char *domain, const char *type)
{
    struct message made = {.length = 0};
    text(&made, 1, "input");
    text(&made, 2, "output");
    text(&made, 4, type);
    if (domain)
        text(&made, 7, domain);
    return made;
}

static struct message tensor(const char *location)
{
    struct message made = {.length = 0}, entry = {.length = 0}, offset = {.length = 0};
    number(&made, 1, 4);
    number(&made, 2, 1);
    text(&made, 8, "weight");
    text(&offset, 1, "offset");
    text(&offset, 2, "../4096");
    text(&entry, 1, "location");
    text(&entry, 2, location);
    inside(&made, 13, &offset);
    inside(&made, 13, &entry);
    number(&made, 14, 1);
    return made;
}

static struct message graph(const struct message *node_inside, const struct message *tensor_inside)
{
    struct message made = {.length = 0}, value = {.length = 0}, plain = node(NULL, "Relu");
    inside(&made, 1, &plain);
    if (node_inside)
        inside(&made, 1, node_inside);
    text(&made, 2, "main");
    if (tensor_inside)
        inside(&made, 5, tensor_inside);
    text(&value, 1, "input");
    inside(&made, 11, &value);
    return made;
}

static struct message model_begin(const struct message *main)
{
    struct message made = {.length = 0};
    number(&made, 1, 9);
    text(&made, 2, "by hand");
    inside(&made, 7, main);
    return made;
}

static void model_end(struct message *model)
{
    struct message opset = {.length = 0};
    text(&opset, 1, "");
    number(&opset, 2, 17);
    inside(model, 8, &opset);
}

static const char *tell(const struct message *model)
{
    static struct bytes bytes;
    bytes.length = 0;
    bytes_put(&bytes, model->data, model->length);
    return bids(&format_onnx, &bytes) ? told_bytes(&bytes) : "no bid\n";
}

static struct message model_of(const struct message *node_inside, const struct message *tensor_inside)
{
    struct message main = graph(node_inside, tensor_inside), model = model_begin(&main);
    model_end(&model);
    return model;
}

static void test_external(void)
{
    static const struct {
        const char *location, *line;
    } cases[] = {
        {"weights.bin", "read weights.bin @"},
        {"sub/weights..bin", "read sub/weights..bin @"},
        {"..", "read .. @"},
        {"../weights.bin", "read ../weights.bin @"},
        {"sub/../../weights.bin", "read sub/../../weights.bin @"},
        {"/etc/passwd", "read /etc/passwd @"},
        {"*/_ORT_MEM_ADDR_/*", "malformed onnx-memory-address @"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message weight = tensor(cases[i].location), model = model_of(NULL, &weight);
        const char *lines = tell(&model);
        check(strncmp(lines, "is onnx\n", 8) == 0 && strncmp(lines + 8, cases[i].line, strlen(cases[i].line)) == 0 &&
                      strchr(lines + 8, '\n')[1] == '\0',
                  cases[i].location);
    }

    /* As a constant in a branch in a branch. */
    struct message weight = tensor("/deep"), attribute = {.length = 0}, branch, loop, outer = {.length = 0};
    text(&attribute, 1, "value");
    inside(&attribute, 5, &weight);
    branch = node("", "Constant");
    inside(&branch, 5, &attribute);
    for (unsigned depth = 0; depth < 3; depth++) {
        struct message nested = graph(&branch, NULL);
        loop = node(NULL, "If");
        attribute.length = 0;
        text(&attribute, 1, "then_branch");
        inside(&attribute, depth == 1 ? 11 : 6, &nested);
        inside(&loop, 5, &attribute);
        branch = loop;
    }
    outer = model_of(&branch, NULL);
    check(strstr(tell(&outer), "read /deep @") != NULL, "a constant three graphs down");

    /* Training information and sparse tensors. */
    struct message sparse = {.length = 0}, main = graph(NULL, NULL), algorithm = {.length = 0},
                   training = {.length = 0};
    weight = tensor("/sparse");
    inside(&sparse, 1, &weight);
    inside(&algorithm, 15, &sparse);
    inside(&training, 2, &algorithm);
    outer = model_begin(&main);
    inside(&outer, 20, &training);
    model_end(&outer);
    check(strstr(tell(&outer), "read /sparse @") != NULL, "a sparse tensor of a training graph");
}

static void test_domains(void)
{
    static const char *const known[] = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct message plain = node(known[i], "Op"), model = model_of(&plain, NULL);
        check_equal(tell(&model), "is onnx\n", "a domain that is known");
    }
    struct message foreign = node("ai.onnxx", "Run"), model = model_of(&foreign, NULL);
    check(strstr(tell(&model), "code onnx-custom-domain(\"ai.onnxx::Run\") @") != NULL, "one that only begins like it");

    struct message function = {.length = 0}, other = node("evil.ops", "Shell"), main;
    foreign = node("local", "Gelu");
    main = graph(&foreign, NULL);
    text(&function, 1, "Gelu");
    inside(&function, 7, &other);
    text(&function, 10, "local");
    model = model_begin(&main);
    model_end(&model);
    inside(&model, 25, &function);
    const char *lines = tell(&model);
    check(strstr(lines, "local::") == NULL, "a function of the file's own");
    check(strstr(lines, "code onnx-custom-domain(\"evil.ops::Shell\") @") != NULL, "what that function calls");

    /* The domain stands before a graph inside the node. */
    struct message inner = node("", "Relu"), nested = graph(&inner, NULL), attribute = {.length = 0},
                   outer = {.length = 0};
    text(&attribute, 1, "body");
    inside(&attribute, 6, &nested);
    text(&outer, 7, "evil.ops");
    text(&outer, 4, "Wrap");
    inside(&outer, 5, &attribute);
    model = model_of(&outer, NULL);
    check(strstr(tell(&model), "(\"evil.ops::Wrap\")") != NULL, "fields in front of a nested graph");

    static struct bytes bytes;
    bytes_put(&bytes, model.data, model.length);
    damage_all(&bytes);
}

static void test_order(void)
{
    /* Parsers take fields in any order and skip what they do not know. */
    struct message weight = tensor("/order"), main = graph(NULL, &weight), model = {.length = 0};
    text(&model, 1000, "unknown");
    model_end(&model);
    inside(&model, 7, &main);
    number(&model, 1, 9);
    check(strstr(tell(&model), "read /order @") != NULL, "another order of the fields");

    static char documentation[3000];
    memset(documentation, 'x', sizeof documentation - 1);
    static struct bytes bytes;
    model.length = 0;
    number(&model, 1, 9);
    bytes_put(&bytes, model.data, model.length);
    for (unsigned i = 0; i < 3; i++) {
        model.length = 0;
        text(&model, 6, documentation);
        bytes_put(&bytes, model.data, model.length);
    }
    model.length = 0;
    inside(&model, 7, &main);
    bytes_put(&bytes, model.data, model.length);
    check(bids(&format_onnx, &bytes) && strstr(told_bytes(&bytes), "read /order @") != NULL,
          "documentation longer than what is bid on");
    bytes.length -= 10;
    check(strstr(told_bytes(&bytes), "malformed onnx-damaged") != NULL, "the same, cut short");
}

static void test_others(void)
{
    static const char *const texts[] = {
        "\x08\x01 some text that follows two bytes", "\x08\x01\x12\x10\x0a\x0e\x12\x05serve\x22\x05tools",
        "\n\nlines of text\n", "\x08\x04\x12\x02\x0a\x00", "import os\n", "\x3a\x05hello",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        static struct bytes bytes;
        bytes.length = 0;
        bytes_text(&bytes, texts[i]);
        bytes_fill(&bytes, 5000);
        check(!bids(&format_onnx, &bytes), "something else does not bid");
    }
}

int main(void)
{
    test_external();
    test_domains();
    test_order();
    test_others();
    return checks_end();
}
