/* TensorFlow's graphs by hand: operators in the main graph and in functions, where paths come from, savers. */
#include "told.h"

#include <string.h>

struct message {
    unsigned char data[8192];
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

static struct message node(const char *name, const char *operator, const char *first, const char *second)
{
    struct message made = {.length = 0};
    text(&made, 1, name);
    text(&made, 2, operator);
    if (first)
        text(&made, 3, first);
    if (second)
        text(&made, 3, second);
    return made;
}

/* With a text as attribute `key`: in a tensor, or plainly. */
static struct message with_text(struct message made, const char *key, const char *content, bool tensor, bool key_last)
{
    struct message attribute = {.length = 0}, value = {.length = 0}, held = {.length = 0};
    if (tensor) {
        text(&held, 8, content);
        inside(&value, 8, &held);
    } else {
        text(&value, 2, content);
    }
    if (!key_last)
        text(&attribute, 1, key);
    inside(&attribute, 2, &value);
    if (key_last)
        text(&attribute, 1, key);
    inside(&made, 5, &attribute);
    return made;
}

static struct message constant(const char *name, const char *content)
{
    return with_text(node(name, "Const", NULL, NULL), "value", content, true, false);
}

/* A graph of two ordinary nodes and those given, which are NULL-terminated; `function` NULL: in the main graph. */
static struct message graph_of(const char *function, const struct message *const *nodes)
{
    struct message graph = {.length = 0}, library = {.length = 0}, body = {.length = 0}, signature = {.length = 0};
    struct message input = node("x", "Placeholder", NULL, NULL), output = node("y", "Relu", "x", NULL);
    inside(&graph, 1, &input);
    inside(&graph, 1, &output);
    if (!function) {
        for (; *nodes; nodes++)
            inside(&graph, 1, *nodes);
        return graph;
    }
    text(&signature, 1, function);
    inside(&body, 1, &signature);
    for (; *nodes; nodes++)
        inside(&body, 3, *nodes);
    inside(&library, 1, &body);
    inside(&graph, 2, &library);
    return graph;
}

static struct bytes bytes;

static const char *tell(const struct message *graph, bool saved)
{
    struct message meta = {.length = 0}, info = {.length = 0}, model = {.length = 0};
    text(&info, 4, "serve");
    text(&info, 5, "2.15.0");
    inside(&meta, 1, &info);
    inside(&meta, 2, graph);
    put(&model, "\x08\x01", 2);
    inside(&model, 2, &meta);
    bytes.length = 0;
    bytes_put(&bytes, saved ? model.data : graph->data, saved ? model.length : graph->length);
    const struct format *format = saved ? &format_saved_model : &format_tensorflow_graph;
    return bids(format, &bytes) ? told_bytes(&bytes) : "no bid\n";
}

/* What is said of a node and a constant, whichever stands first, in a graph and in a function, alone and saved. */
static void check_node(const struct message *made, const struct message *held, const char *expected, const char *name)
{
    for (unsigned way = 0; way < 8; way++) {
        const struct message *nodes[3] = {made, held, NULL};
        if (held && way & 1) {
            nodes[0] = held;
            nodes[1] = made;
        }
        struct message graph = graph_of(way & 2 ? "__inference_serve_7" : NULL, nodes);
        const char *lines = tell(&graph, way & 4);
        const char *is = way & 4 ? "is saved-model\n" : "is tensorflow-graph\n";
        bool same = strncmp(lines, is, strlen(is)) == 0;
        lines += same ? strlen(is) : 0;
        /* One line, up to its place, or none. */
        same = same && (expected[0] ? strncmp(lines, expected, strlen(expected)) == 0 &&
                                          lines[strlen(expected)] == ' ' && strchr(lines, '\n')[1] == '\0'
                                    : lines[0] == '\0');
        check(same, name);
        if (!same)
            check_equal(lines, expected, "the lines");
    }
}

static void test_operators(void)
{
    struct message made = node("r", "ReadFile", "c", NULL), held = constant("c", "/etc/passwd");
    check_node(&made, &held, "read /etc/passwd(\"ReadFile\") r", "a file that a constant names");
    made = node("r", "ReadFile", "elsewhere", NULL);
    check_node(&made, &held, "read (computed)(\"ReadFile\") r", "a file that is computed");
    made = node("w", "WriteFile", "c:output:0", "x");
    check_node(&made, &held, "write /etc/passwd(\"WriteFile\") w", "a file that is written");
    made = node("m", "MergeV2Checkpoints", "x", "c:0");
    check_node(&made, &held, "write /etc/passwd(\"MergeV2Checkpoints\") m", "the second input");
    made = node("p", "EagerPyFunc", NULL, NULL);
    check_node(&made, NULL, "code tensorflow-py-func(\"EagerPyFunc\") p", "a Python function");
    made = node("s", "SaveV2", "x", NULL);
    check_node(&made, NULL, "write (computed)(\"SaveV2\") s", "saving, outside the saver");
    made = node("ok", "ReadVariableOp", "c", NULL);
    check_node(&made, &held, "", "an ordinary operator");
    for (unsigned last = 0; last < 2; last++) {
        made = with_text(node("p", "PrintV2", NULL, NULL), "output_stream", "file:///tmp/x", false, last);
        check_node(&made, NULL, "write file:///tmp/x(\"PrintV2\") p", "printing into a file");
        made = with_text(node("p", "PrintV2", NULL, NULL), "output_stream", "stderr", false, last);
        check_node(&made, NULL, "", "printing");
        made = with_text(node("i", "ImmutableConst", NULL, NULL), "memory_region_name", "/etc/x", false, last);
        check_node(&made, NULL, "read /etc/x(\"ImmutableConst\") i", "a constant that is a file");
        made = with_text(node("v", "FixedUnigramCandidateSampler", NULL, NULL), "vocab_file", "/etc/x", false, last);
        check_node(&made, NULL, "read /etc/x(\"FixedUnigramCandidateSampler\") v", "a vocabulary by an attribute");
        made = with_text(node("v", "FixedUnigramCandidateSampler", NULL, NULL), "vocab_file", "", false, last);
        check_node(&made, NULL, "", "no vocabulary");
    }
}

static void test_more_operators(void)
{
    struct message held = constant("c", "/etc/passwd"), made = node("t", "InitializeTableFromTextFileV2", "x", "c");
    check_node(&made, &held, "read /etc/passwd(\"InitializeTableFromTextFileV2\") t",
               "a table from a file that is named");
    made = node("t", "InitializeTableFromTextFileV2", "x", "asset");
    check_node(&made, NULL, "", "a table from an asset");
    made = node("f", "WholeFileReaderV2", "c", NULL);
    check_node(&made, &held, "read (computed)(\"WholeFileReaderV2\") f", "a reader that is told by a queue");
    made = node("d", "CacheDatasetV2", "x", "c");
    check_node(&made, &held, "write /etc/passwd(\"CacheDatasetV2\") d", "a cache in a file");
    made = node("d", "RegisterDatasetV2", "x", "c");
    check_node(&made, &held, "connect /etc/passwd(\"RegisterDatasetV2\") d", "a service elsewhere");
}

/* A graph, or a pickle, in a text. Protobuf of few short parts has no zero byte, so that it passes as one here. */
static void test_nested(void)
{
    struct message path = constant("c", "/etc/passwd"), read = node("r", "ReadFile", "c", NULL);
    const struct message *hidden[] = {&read, &path, NULL};
    struct message inner = graph_of(NULL, hidden), held = constant("g", (const char *)inner.data);
    for (unsigned function = 0; function < 2; function++) {
        const struct message *nodes[] = {&held, NULL};
        struct message graph = graph_of(function ? "__inference_serve_7" : NULL, nodes);
        check(strstr(tell(&graph, true), "read /etc/passwd(\"ReadFile\") r @") != NULL, "a graph in a constant");
    }
    held = constant("g", "cos\nsystem\n(S'a longer command'\ntR.");
    const struct message *nodes[] = {&held, NULL};
    struct message graph = graph_of(NULL, nodes);
    check(strstr(tell(&graph, false), "call os.system(\"a longer command\") @") != NULL, "a pickle in a constant");
    held = constant("g", "an ordinary text of some length, as vocabularies have");
    graph = graph_of(NULL, nodes);
    check_equal(tell(&graph, false), "is tensorflow-graph\n", "a text");
}

static void test_chains(void)
{
    struct message held = constant("c", "/a"), first = node("i", "Identity", "c", NULL),
                   second = node("j", "Identity", "i:0", NULL), circle = node("k", "Identity", "k", NULL),
                   made = node("r", "ReadFile", "j", NULL), round = node("q", "ReadFile", "k", NULL);
    const struct message *nodes[] = {&round, &made, &second, &first, &held, &circle, NULL};
    struct message graph = graph_of(NULL, nodes);
    const char *lines = tell(&graph, true);
    check(strstr(lines, "read /a(\"ReadFile\") r @") != NULL, "a constant handed on");
    check(strstr(lines, "read (computed)(\"ReadFile\") q @") != NULL, "nodes that hand on to themselves");
    damage_all(&bytes);
}

static void test_savers(void)
{
    static const struct {
        const char *function, *node, *path;
        bool said;
    } cases[] = {
        {"__inference__traced_save_12", "SaveV2", NULL, false},
        {"__inference__traced_save_12", "SaveV2", "model", false},
        {"__inference__traced_save_12", "SaveV2", "/etc/cron.d/x", true},
        {"__inference__traced_save_12", "SaveV2", "../x", true},
        {"__inference_serve", "SaveV2", NULL, true},
        {"__inference_serve", "save/SaveV2", NULL, true},
        {NULL, "save/SaveV2", NULL, false},
        {NULL, "save_1/SaveV2", "model", false},
        {NULL, "save/SaveV2", "gs://bucket/x", true},
        {NULL, "serve/SaveV2", "model", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message told = node("c", "Placeholder", NULL, NULL), made = node(cases[i].node, "SaveV2", "c", NULL),
                       held = constant("c", cases[i].path ? cases[i].path : "");
        const struct message *nodes[] = {cases[i].path ? &held : cases[i].function ? &made : &told, &made, NULL};
        struct message graph = graph_of(cases[i].function, nodes);
        check((strstr(tell(&graph, true), "write ") != NULL) == cases[i].said,
              cases[i].said ? "said" : "a saver's own");
    }
}

static struct message calling(struct message made, const char *function)
{
    struct message attribute = {.length = 0}, value = {.length = 0}, called = {.length = 0};
    text(&called, 1, function);
    inside(&value, 10, &called);
    text(&attribute, 1, "f");
    inside(&attribute, 2, &value);
    inside(&made, 5, &attribute);
    return made;
}

/* A saver's name is no proof: where it saves must come from its caller, and only the model's own saving calls it. */
static void test_false_savers(void)
{
    static const char saver[] = "__inference__traced_save_12";
    struct message fed = node("p", "Placeholder", NULL, NULL), harmless = constant("c", "model"),
                   elsewhere = constant("c", "/etc/"), computed = node("c", "ReadFile2", NULL, NULL),
                   otherwise = node("p", "PlaceholderWithDefault", "c", NULL),
                   joined = node("j", "StringJoin", "p", "x"), named = node("j", "StringJoin", "prefix", "x"),
                   joined_inside = node("j", "StringJoin", "c:output:0", "x"),
                   saves = node("save/SaveV2", "SaveV2", "j", NULL),
                   saves_inside = node("s", "SaveV2", "j:output:0", NULL),
                   calls = calling(node("q", "StatefulPartitionedCall", "p", NULL), saver),
                   maps = calling(node("q", "MapDataset", "x", NULL), saver), by_name = node("q", saver, "x", NULL),
                   ordinary = calling(node("q", "StatefulPartitionedCall", "x", NULL), "__inference_serve_8");
    const struct {
        const char *function;
        const struct message *nodes[5];
        bool said;
        const char *name;
    } cases[] = {
        {NULL, {&fed, &joined, &saves}, false, "a placeholder"},
        {NULL, {&harmless, &otherwise, &joined, &saves}, false, "a placeholder with a harmless default"},
        {NULL, {&elsewhere, &otherwise, &joined, &saves}, true, "a placeholder whose default leads elsewhere"},
        {NULL, {&computed, &otherwise, &joined, &saves}, true, "a placeholder whose default is computed"},
        {NULL, {&joined, &saves}, true, "a saver that is told by nobody"},
        {saver, {&named, &saves_inside}, false, "an argument"},
        {saver, {&elsewhere, &joined_inside, &saves_inside}, true, "a constant that is added to"},
        {saver, {&saves_inside}, true, "something computed"},
        {NULL, {&fed, &calls}, false, "the call of the saver"},
        {NULL, {&elsewhere, &otherwise, &calls}, true, "a call of the saver that says where"},
        {"__inference_serve_7", {&calls}, true, "a call of the saver by another function"},
        {"__inference_serve_7", {&maps}, true, "a saver that a data set calls"},
        {"__inference_serve_7", {&by_name}, true, "a saver called as an operator"},
        {"__inference_serve_7", {&ordinary}, false, "a call of another function"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message graph = graph_of(cases[i].function, cases[i].nodes);
        check((strstr(tell(&graph, true), "write ") != NULL) == cases[i].said, cases[i].name);
    }
}

/* TensorFlow takes the fields in any order, whatever stands between, and finds the file by its name. */
static void test_named(void)
{
    struct message read = node("r", "ReadFile", "x", NULL), foreign = {.length = 0};
    const struct message *nodes[] = {&read, NULL};
    struct message graph = graph_of(NULL, nodes);
    (void)tell(&graph, true);
    static struct bytes odd;
    text(&foreign, 99, "not TensorFlow's");
    odd.length = 0;
    bytes_put(&odd, foreign.data, foreign.length);
    bytes_put(&odd, bytes.data, bytes.length);
    check_equal(told_bytes(&odd), "not-model\n", "a foreign field first");
    check_line(told_beside(&odd, "/m/saved_model.pb"), "is saved-model", "a foreign field first, by the file's name");
    check(strstr(told_beside(&odd, "/m/saved_model.pb"), "read (computed)") != NULL, "what its graph reads");
    check_line(told_beside(&odd, "/m/saved_model.pbtxt"), "opaque tensorflow-text @0", "a SavedModel as text");
    check_equal(told_beside(&odd, "/m/saved_model.pb2"), "not-model\n", "another name");
    odd.length = 0;
    bytes_text(&odd, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    check_equal(told_beside(&odd, "/m/saved_model.pb"), "not-model\n", "what stands for a file that was not fetched");
}

static void test_others(void)
{
    static const char *const texts[] = {
        "\x0a\x10\x0a\x05" "a.pro\x12\x07" "package\x0a\x10\x0a\x05" "b.pro\x12\x07" "package", /* descriptors */
        "\x08\x01\x12\x10" "text, no message", "\n\n\n\nlines\n", "\x0a\x05hello\x0a\x05hello",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bytes.length = 0;
        bytes_text(&bytes, texts[i]);
        check(!bids(&format_saved_model, &bytes) && !bids(&format_tensorflow_graph, &bytes),
              "something else does not bid");
    }
}

int main(void)
{
    test_operators();
    test_more_operators();
    test_nested();
    test_chains();
    test_savers();
    test_false_savers();
    test_named();
    test_others();
    return checks_end();
}
