/* Keras' JSON by hand: keys in any order, escapes, names, a pickle in base64. */
#include "told.h"

#include "../../analyzer/keras.h"

#include <string.h>

/* A layer in a model that bids. */
static const char *tell(const char *layer)
{
    static struct bytes bytes;
    bytes.length = 0;
    bytes_text(&bytes, "{\"class_name\": \"Sequential\", \"config\": {\"layers\": [");
    bytes_text(&bytes, layer);
    bytes_text(&bytes, "]}, \"keras_version\": \"3.0\"}");
    return bids(&format_keras, &bytes) ? told_bytes(&bytes) : "no bid\n";
}

static void check_layer(const char *layer, const char *expected, const char *name)
{
    char lines[1024];
    const char *told_lines = tell(layer);
    size_t length = 0;
    /* Without places: they are tested once. */
    for (const char *at = told_lines; *at && length < sizeof lines - 1; at++) {
        if (at[0] == ' ' && at[1] == '@')
            at += strcspn(at, "\n");
        lines[length++] = *at;
    }
    lines[length] = '\0';
    check_equal(lines, expected, name);
}

static void test_layers(void)
{
    check_equal(tell("{\"class_name\": \"__lambda__\"}"), "is keras\ncode keras-lambda config.layers[0] @51\n",
                "where it stands");
    check_layer("{\"module\": \"keras.layers\", \"class_name\": \"Dense\", \"config\": {\"units\": 1, \"activation\": "
                "\"relu\"}}",
                "is keras\n", "an ordinary layer");
    check_layer(
        "{\"config\": {\"function\": {\"config\": {\"code\": \"4wAA\"}, \"class_name\": \"__lambda__\"}}, "
        "\"class_name\": \"Lambda\"}",
        "is keras\ncode keras-lambda config.layers[0].config.function\ncode keras-lambda-layer config.layers[0]\n",
        "keys in another order");
    check_layer("{\"class\\u005fname\": \"\\u004cambda\"}", "is keras\ncode keras-lambda-layer config.layers[0]\n",
                "keys and classes spelt in escapes");
    check_layer("{\"class_name\": \"Lambda\", \"class_name\": \"Dense\"}",
                "is keras\ncode keras-lambda-layer config.layers[0].class_name\n",
                "a key that stands twice, first reading");
    check_layer("{\"class_name\": \"Dense\", \"class_name\": \"Lambda\"}",
                "is keras\ncode keras-lambda-layer config.layers[0]\n", "a key that stands twice, last reading");
    check_layer(
        "{\"class_name\": \"Custom>Lambda\", \"config\": {\"mask_type\": \"lambda\"}}",
        "is keras\ncode keras-lambda config.layers[0].config.mask_type\ncode keras-lambda-layer config.layers[0]\n",
        "a registered name");
    check_layer("{\"config\": {\"filepath\": \"/evil\"}, \"class_name\": \"TFSMLayer\"}",
                "is keras\ncode keras-tfsm-layer config.layers[0]\ndepend /evil config.layers[0]\n", "a SavedModel");
    check_layer("{\"class_name\": \"StringLookup\", \"config\": {\"vocabulary\": \"https://example.org/v\"}}",
                "is keras\nread https://example.org/v config.layers[0].config.vocabulary\n", "a vocabulary elsewhere");
    check_layer(
        "{\"class_name\": \"BytePairTokenizer\", \"config\": {\"merges\": \"../merges.txt\", \"proto\": \"CgkvCgUv\"}}",
        "is keras\nread ../merges.txt config.layers[0].config.merges\n", "merges elsewhere, and a tokenizer in place");
    check_layer("{\"class_name\": \"SentencePieceTokenizer\", \"config\": {\"proto\": \"/etc/passwd\"}}",
                "is keras\nread /etc/passwd config.layers[0].config.proto\n", "a tokenizer elsewhere");
    check_layer("{\"class_name\": \"StringLookup\", \"config\": {\"vocabulary\": [\"/a\", \"b\"]}}", "is keras\n",
                "a vocabulary in place");
}

static void test_names(void)
{
    check_layer("{\"module\": \"os\", \"class_name\": \"function\", \"config\": \"system\"}",
                "is keras\ncall os.system config.layers[0]\n", "a function");
    check_layer("{\"module\": \"my.package\", \"class_name\": \"Layer\", \"config\": {}}",
                "is keras\ncall my.package.Layer config.layers[0]\n", "a class");
    check_layer("{\"module\": \"os\", \"class_name\": \"path.join\", \"config\": {}}",
                "is keras\ncall os:path.join config.layers[0]\n", "a name with dots");
    check_layer("{\"module\": \"keras.utils\", \"class_name\": \"function\", \"config\": \"get_file\"}",
                "is keras\ncall keras.utils.get_file config.layers[0]\n", "what Keras itself offers");
    check_layer("{\"module\": \"keras.src.src.saving\", \"class_name\": \"X\"}",
                "is keras\ncall keras.src.src.saving.X config.layers[0]\n", "the same deeper in");
    check_layer("{\"module\": \"keras.models\", \"class_name\": \"function\", \"config\": \"load_model\"}",
                "is keras\ncall keras.models.load_model config.layers[0]\n", "a loader");
    check_layer("{\"module\": \"keras.layers\", \"class_name\": \"os.system\"}",
                "is keras\ncall keras.layers:os.system config.layers[0]\n", "through a module that Keras imported");
    check_layer("{\"module\": \"kerasx.layers\", \"class_name\": \"Dense\"}",
                "is keras\ncall kerasx.layers.Dense config.layers[0]\n", "a package that is only named like it");
    check_layer("{\"module\": \"builtins\", \"class_name\": \"function\", \"config\": \"my_loss\"}",
                "is keras\nimport builtins.my_loss config.layers[0]\n", "a registered function");
    check_layer("{\"module\": \"builtins\", \"class_name\": \"exec\"}",
                "is keras\ncall builtins.exec config.layers[0]\n", "a class of the module builtins");
    check_layer("{\"module\": \"keras.layers\", \"class_name\": \"Dense\", \"registered_name\": \"evil>Dense\"}",
                "is keras\nmalformed keras-registered-name config.layers[0]\n", "Keras' own under another name");
    check_layer("{\"module\": \"keras.layers\", \"class_name\": \"Dense\", \"registered_name\": \"Dense\"}",
                "is keras\n", "or its own");
    check_layer("{\"module\": null, \"class_name\": \"Mine\", \"registered_name\": \"pkg>Mine\"}", "is keras\n",
                "registered by the program");
}

static void test_pickle(void)
{
    /* cos\nsystem\n(S'id'\ntR. */
    static const char *const spellings[] = {
        "Y29zCnN5c3RlbQooUydpZCcKdFIu", "Y29z\\u0043nN5c3RlbQooUydpZCcKdFIu", "Y2 9z.Cn=N5c3\\nRlbQooUydpZCcKdFIu====x",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        char layer[256] = "{\"config\": {\"module\": \"";
        strcat(layer, spellings[i]);
        strcat(layer, "\"}, \"class_name\": \"TorchModuleWrapper\"}");
        const char *lines = tell(layer);
        check(strstr(lines, "system(\"id\")") && strstr(lines, "code keras-torch-module config.layers[0] @"),
              spellings[i]);
    }
}

static void test_others(void)
{
    static const char *const texts[] = {
        "{\"class_name\": \"Dense\"}", "[\"class_name\", \"config\", \"keras\"]", "{\"config\": {\"class_name\": 1}}",
        "{}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        static struct bytes bytes;
        bytes.length = 0;
        bytes_text(&bytes, texts[i]);
        check(!bids(&format_keras, &bytes), texts[i]);
    }
    static struct bytes bytes;
    bytes.length = 0;
    bytes_text(&bytes, " \n{\"words\": [\"class_name\", \"config\", \"keras\"]}");
    check_equal(told_by(&format_keras, &bytes), "not-model\n", "the words alone");
    bytes.length = 0;
    bytes_text(&bytes,
               "{\"class_name\": \"keras\", \"config\": {\"a\": [[{\"module\": \"os\", \"class_name\": \"x\"}]]}}");
    check_equal(told_bytes(&bytes), "is keras\ncall os.x config.a[0][0] @42\n", "in arrays");
    damage_all(&bytes);
}

int main(void)
{
    test_layers();
    test_names();
    test_pickle();
    test_others();
    return checks_end();
}
