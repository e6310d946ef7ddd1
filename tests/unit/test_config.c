/* What configs say: every kind of key, in the file where it means something, and ordinary ones, which say nothing. */
#include "../../analyzer/scan.h"
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

static char told[32768];
static size_t told_length;

static enum scan_answer listen(void *context, const struct effect *effect)
{
    char arguments[1024];

    (void)context;
    effect_render_arguments(effect, arguments, sizeof(arguments));
    told_length +=
        (size_t)snprintf(told + told_length, sizeof(told) - told_length, "%s %s(%s)%s%s in %s\n",
                         effect_kind_name(effect->kind), effect->name, arguments, effect->revision ? " at " : "",
                         effect->revision ? effect->revision : "", effect->field ? effect->field : "-");
    return SCAN_GO_ON;
}

static struct scan_result scan(const char *path, const char *text, size_t length)
{
    size_t taken = 0;
    unsigned char *copy = malloc(length > 0 ? length : 1);
    memcpy(copy, text, length);
    struct source_memory memory = {copy, length};
    struct scan_request request = {
        .source = source_from_memory(&memory),
        .path = path,
        .in_model_root = true,
        .memory = {.take = take, .give = give, .context = &taken},
        .sink = listen,
    };
    struct scan_result result;

    told[0] = '\0';
    told_length = 0;
    scan_run(&request, &result);
    free(copy);
    if (taken != 0)
        snprintf(told, sizeof(told), "kept %zu bytes\n", taken);
    return result;
}

/* The config, of this format, says exactly `wanted`. */
static void says_as(const char *format, const char *name, const char *file, const char *text, const char *wanted)
{
    char path[128];

    snprintf(path, sizeof(path), "/models/m/%s", file);
    struct scan_result result = scan(path, text, strlen(text));
    bool json = result.status == SCAN_DONE && result.format_count == 1 && strcmp(result.formats[0], format) == 0;
    if (!unit_ok(json && strcmp(told, wanted) == 0, "%s", name))
        printf("# status %d, %zu formats:\n# %s\n", (int)result.status, result.format_count, told);
}

static void says(const char *name, const char *file, const char *text, const char *wanted)
{
    says_as("json", name, file, text, wanted);
}

static void test_edges(void)
{
    says("a base model and its revision, in any order", "adapter_config.json",
         "{\"revision\": \"abc\", \"peft_type\": \"LORA\", \"base_model_name_or_path\": \"org/base\"}",
         "depend org/base(...) at abc in base_model_name_or_path\n");
    says("no revision", "adapter_config.json", "{\"base_model_name_or_path\": \"org/base\", \"revision\": null}",
         "depend org/base(...) in base_model_name_or_path\n");
    says("a revision of something else is not the base model's", "adapter_config.json",
         "{\"base_model_name_or_path\": \"org/base\", \"x\": {\"revision\": \"abc\"}}",
         "depend org/base(...) in base_model_name_or_path\n");
    says("no base model", "adapter_config.json", "{\"base_model_name_or_path\": null, \"revision\": \"abc\"}", "");
    says("adapters of adapters", "adapter_config.json", "{\"adapters\": {\"a\": \"org/a\", \"b\": \"./b\"}}",
         "depend org/a(...) in adapters.a\ndepend ./b(...) in adapters.b\n");
    says("adapters elsewhere are nothing", "config.json", "{\"adapters\": {\"a\": \"org/a\"}}", "");
    says("a tokenizer from elsewhere", "adapter_config.json", "{\"tokenizer_name_or_path\": \"org/tok\"}",
         "depend org/tok(...) in tokenizer_name_or_path\n");
    says("where it was saved from is no edge", "config.json",
         "{\"_name_or_path\": \"org/x\", \"vision_config\": {\"_name_or_path\": \"org/y\"}, \"name_or_path\": \"z\"}",
         "");
    says("backbones of the hub", "config.json",
         "{\"backbone\": \"resnet50\", \"b\": {\"backbone\": \"org/b\"}, \"architecture\": \"hf-hub:org/c@v1\"}",
         "depend org/b(...) in b.backbone\ndepend hf-hub:org/c(...) at v1 in architecture\n");
    says("parts of a modular pipeline", "modular_model_index.json",
         "{\"unet\": [\"diffusers\", \"UNet\", {\"pretrained_model_name_or_path\": \"org/u\", \"revision\": \"r\"}]}",
         "depend org/u(...) at r in unet[2].pretrained_model_name_or_path\nimport diffusers.UNet(...) in unet[0]\n");
}

static void test_code(void)
{
    says("auto_map, its lists and foreign repositories", "config.json",
         "{\"auto_map\": {\"AutoModel\": \"m.C\", \"AutoTokenizer\": [null, \"org/r--t.T\"]}}",
         "code auto_map(\"m.C\") in auto_map.AutoModel\ncode auto_map(\"org/r--t.T\") in auto_map.AutoTokenizer[1]\n"
         "depend org/r(...) in auto_map.AutoTokenizer[1]\n");
    says("auto_map at any depth, with an escape in its key", "anything.json",
         "{\"vision_config\": {\"x\": [{\"auto\\u005fmap\": {\"AutoModel\": \"m.C\"}}]}}",
         "code auto_map(\"m.C\") in vision_config.x[0].auto_map.AutoModel\n");
    says("custom pipelines", "config.json",
         "{\"custom_pipelines\": {\"t\": {\"impl\": \"p.P\", \"pt\": [\"AutoModel\"], \"type\": \"text\"}}}",
         "code custom_pipelines(\"p.P\") in custom_pipelines.t.impl\n");
    says("a pipeline's own file", "model_index.json", "{\"_class_name\": [\"pipeline\", \"Mine\"]}",
         "code custom-pipeline(\"pipeline.Mine\") in _class_name[0]\n");
    says("an ordinary pipeline", "model_index.json",
         "{\"_class_name\": \"SD\", \"_diffusers_version\": \"0.1\", \"unet\": [\"diffusers\", \"U\"], \"x\": [null, "
         "null], "
         "\"s\": [1, 2], \"f\": true}",
         "import diffusers.U(...) in unet[0]\n");
    says("kernels of the hub", "config.json",
         "{\"attn_implementation\": {\"text_config\": \"org/k@v1:fn\", \"v\": \"sdpa\"}, \"_attn_implementation\": "
         "\"eager\"}",
         "code hub-kernel(\"org/k@v1:fn\") in attn_implementation.text_config\n"
         "depend org/k(...) at v1 in attn_implementation.text_config\n");
    says("keys that only attacks use", "config.json",
         "{\"_attn_implementation_internal\": \"org/k\", \"t\": {\"trust_remote_code\": true}, "
         "\"_experts_implementation_internal\": {}}",
         "code config-attn-internal(\"org/k\") in _attn_implementation_internal\n"
         "depend org/k(...) in _attn_implementation_internal\ncode config-trust-remote-code() in t.trust_remote_code\n"
         "code config-experts-internal() in _experts_implementation_internal\n");
    says("the same, switched off", "config.json",
         "{\"_attn_implementation_internal\": null, \"trust_remote_code\": false}", "");
    says("trust in another file", "sentence_bert_config.json", "{\"model_args\": {\"trust_remote_code\": true}}",
         "code config-asks-trust() in model_args.trust_remote_code\n");
}

static void test_names(void)
{
    says("a class of a library", "adapter_config.json",
         "{\"auto_mapping\": {\"base_model_class\": \"M\", \"parent_library\": \"my.lib\"}, \"megatron_core\": "
         "\"m.core\"}",
         "import my.lib.M(...) in auto_mapping.parent_library\nimport m.core(...) in megatron_core\n");
    says("a dotted class is one qualified name", "adapter_config.json",
         "{\"auto_mapping\": {\"parent_library\": \"os\", \"base_model_class\": \"path.join\"}}",
         "import os:path.join(...) in auto_mapping.parent_library\n");
    says("a library without a class is imported", "adapter_config.json",
         "{\"auto_mapping\": {\"parent_library\": \"os\"}}", "import os(...) in auto_mapping.parent_library\n");
    says("_target_ is called", "x.json", "{\"a\": [{\"_target_\": \"os.system\", \"command\": \"id\"}]}",
         "call os.system(...) in a[0]._target_\n");
    says("activations are called when they are dotted", "config.json",
         "{\"activation_fn\": \"gelu\", \"a\": {\"activation_fn\": \"torch.nn.Tanh\"}, \"activation_function\": "
         "\"a..b\"}",
         "call torch.nn.Tanh() in a.activation_fn\n");
    says("modules of sentence-transformers", "modules.json",
         "[{\"idx\": 0, \"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"}, "
         "{\"path\": \"../x\", \"type\": \"custom.T\"}]",
         "read ../x(...) in [1].path\nimport custom.T(...) in [1].type\ncode module-type(\"custom.T\") in [1].type\n");
    says("steps of a policy", "policy_preprocessor.json",
         "{\"steps\": [{\"class\": \"a.B\"}, {\"registry_name\": \"c\"}]}", "call a.B(...) in steps[0].class\n");
}

static void test_paths(void)
{
    says("shards", "model.safetensors.index.json",
         "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"/abs\", "
         "\"c\": \"x/../../y\", \"d\": \"..x/y...bin\", \"auto_map\": \"z.pkl\"}}",
         "read /abs(...) in weight_map.b\nread x/../../y(...) in weight_map.c\nread z.pkl(...) in "
         "weight_map.auto_map\n");
    says("vocabularies", "tokenizer_config.json",
         "{\"vocab_file\": \"/etc/passwd\", \"merges_file\": \"merges.txt\", \"tokenizer_file\": "
         "\"/home/author/t.json\", "
         "\"fast_tokenizer_files\": [\"tokenizer.4.json\", \"..\"]}",
         "read /etc/passwd(...) in vocab_file\nread ..(...) in fast_tokenizer_files[1]\n");
}

static void test_templates(void)
{
    static const char ordinary[] = "{\"chat_template\": \"{% for m in messages | selectattr('role') %}{{ m['content'] "
                                   "| trim | attr('x') }}{{ '<__media__>' }}"
                                   "{{ raise_exception('a|b') }}{% endfor %}\"}";
    char *text = malloc(8192);

    says("an ordinary template", "tokenizer_config.json", ordinary, "");
    says("the way out of the sandbox", "tokenizer_config.json",
         "{\"chat_template\": [{\"name\": \"default\", \"template\": \"{{ ''.__class__.__mro__ }}\"}]}",
         "code template-escape(\"__class__\") in chat_template[0].template\n");
    says("the same through attr", "tokenizer_config.json",
         "{\"chat_template\": \"{{ x |  attr ( '_' ~ '_class__') }}\"}",
         "code template-escape(\"|attr(\") in chat_template\n");
    says("the same with escapes", "chat_template.json", "{\"chat_template\": \"{{ x['\\\\x5f\\\\x5fclass'] }}\"}",
         "code template-escape(\"\\\\x5f\") in chat_template\n");
    bool good = true;
    for (size_t before = 1000; before < 1030; before++) {
        snprintf(text, 8192, "{\"chat_template\": \"%0*d {{ x.__globals__ }} %0*d\", \"vocab_file\": \"v\"}",
                 (int)before, 1, 2000, 2);
        scan("/m/tokenizer_config.json", text, strlen(text));
        good = good && strcmp(told, "code template-escape(\"__globals__\") in chat_template\n") == 0;
    }
    unit_ok(good, "across the parts of a long template");

    struct scan_result result = scan("/m/chat_template.jinja", "{{ ''.__class__ }}", 18);
    unit_ok(result.status == SCAN_DONE && strcmp(result.formats[0], "jinja") == 0 &&
                strcmp(told, "code template-escape(\"__class__\") in -\n") == 0,
            "a template in a file of its own");
    scan("/m/chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}", 50);
    unit_ok(told_length == 0, "an ordinary one");
    free(text);
}

static void test_odd(void)
{
    says("duplicates are told of, and every reading counts", "config.json",
         "{\"auto_map\": {\"A\": \"m.C\"}, \"auto_map\": null, \"base_model_name_or_path\": \"a\", "
         "\"base_model_name_or_path\": \"b\"}",
         "code auto_map(\"m.C\") in auto_map.A\nmalformed json-duplicate-key(...) in -\nmalformed "
         "json-duplicate-key(...) in -\n"
         "depend a(...) in base_model_name_or_path\ndepend b(...) in base_model_name_or_path\n");
    says("what comes before a broken tail counts", "config.json",
         "{\"base_model_name_or_path\": \"a\", \"_target_\": \"b.c\", !",
         "call b.c(...) in _target_\ndepend a(...) in base_model_name_or_path\n");

    struct scan_result result = scan("/m/config.json", "hello {", 7);
    unit_ok(result.status == SCAN_NOT_MODEL && told_length == 0, "text is no config");
    result = scan("/m/config.json", "{\"a\": 1,}", 9);
    unit_ok(result.status == SCAN_NOT_MODEL && told_length == 0, "nor is what Python refuses, when it says nothing");

    size_t room = 200000, length = 0;
    char *text = malloc(room);
    for (unsigned i = 0; i < 1001; i++)
        length += (size_t)snprintf(text + length, room - length, "{\"a\":");
    scan("/m/x.json", text, length);
    unit_ok(strcmp(told, "malformed json-depth(...) in -\n") == 0, "nested deeper than readers agree to follow");
    /* More objects that wait for a revision than there is room for: none is lost. */
    length = 0;
    for (unsigned i = 0; i < 40; i++)
        length += (size_t)snprintf(text + length, room - length, "{\"base_model_name_or_path\":\"m%u\",\"x\":", i);
    length += (size_t)snprintf(text + length, room - length, "1%.*s", 40, "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}");
    scan("/m/config.json", text, length);
    bool all = true;
    for (unsigned i = 0; i < 40; i++) {
        char line[32];
        snprintf(line, sizeof(line), "depend m%u(...)", i);
        all = all && strstr(told, line);
    }
    unit_ok(all, "many objects within objects");
    free(text);
}

static void test_other_texts(void)
{
    says_as("yaml", "a target, and text that speaks of one", "c.yaml",
            "a:\n- {_target_: os.system}\nb: '_target_: x.y'\n", "call os.system(...) in a[0]._target_\n");
    says_as("yaml", "a target that is put together", "c.yaml", "_target_: a.${b}\n", "call ?(...) in _target_\n");
    says_as("yaml", "tags", "c.yml", "a: !new:a.B\nb: !apply:eval [1]\nc: !include:../x\n",
            "call a.B(...) in a\ncall builtins.eval(...) in b\nread ../x(...) in c\n");
    says_as("yaml", "keys that mean something in their place only", "c.yaml",
            "name: a.b\npipeline:\n  name: c.d\n  params:\n    name: e.f\n    segmentation: org/s\n",
            "call c.d(...) in pipeline.name\ndepend org/s(...) in pipeline.params.segmentation\n");
    says_as("yaml", "an alias where a loader looks", "c.yaml", "x: &x {name: a.b}\npipeline: *x\n",
            "malformed yaml-alias(...) in -\n");
    says_as("yaml", "MLmodel", "MLmodel", "flavors:\n  python_function:\n    loader_module: a.b\n    code: c\n",
            "import a.b(...) in flavors.python_function.loader_module\n"
            "code model-code-path(\"c\") in flavors.python_function.code\n");
    says_as("model-card", "a model card", "README.md", "---\nbase_model: org/b\n---\nprior: org/c\n",
            "depend org/b(...) in base_model\n");
    says_as("ini", "spaCy", "config.cfg", "[components.a]\nsource = \"other\"\nx = {\"@callbacks\": \"c.v1\"}\n",
            "depend other(...) in components.a.source\ncode registered:c.v1() in components.a.x.@callbacks\n");
    struct scan_result result = scan("/m/setup.cfg", "[metadata]\nname = x\n", 20);
    unit_ok(result.status == SCAN_NOT_MODEL && told_length == 0, "other INI files say nothing");
    unit_ok(scan_config_begins("/m/README.md", (const unsigned char *)"\r\n---\n", 6) &&
                !scan_config_begins("/m/README.md", (const unsigned char *)"# Title", 7) &&
                !scan_config_begins("/m/README.md", (const unsigned char *)"--", 2) &&
                scan_config_begins("/m/config.json", (const unsigned char *)"{", 1),
            "a model card is told by its front matter");
    result = scan("/m/README.md", "# Title\nbase_model: x\n", 22);
    unit_ok(result.status == SCAN_NOT_MODEL && told_length == 0, "nor does a text without front matter");
    unit_ok(scan_config_name("/m/x.yml") && scan_config_name("MLmodel") && !scan_config_name("/m/notes.md") &&
                !scan_config_name("/m/x.txt") && !scan_config_name(NULL),
            "what could be a config by its name");
}

static ssize_t huge_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    (void)context;
    (void)offset;
    memset(buffer, ' ', length);
    return (ssize_t)length;
}

static void test_huge(void)
{
    size_t taken = 0;
    struct scan_request request = {
        .source = {.pread = huge_pread, .size = 1ull << 40},
        .path = "/m/config.json",
        .in_model_root = true,
        .memory = {.take = take, .give = give, .context = &taken},
        .sink = listen,
    };
    struct scan_result result;

    told_length = 0;
    scan_run(&request, &result);
    unit_ok(result.status == SCAN_DONE && strcmp(told, "opaque config-size(...) in -\n") == 0,
            "a config of a terabyte is opaque");
    request.path = "/m/data.json";
    told_length = 0;
    scan_run(&request, &result);
    unit_ok(result.status == SCAN_NOT_MODEL && told_length == 0, "other text of that size is none");
}

int main(void)
{
    test_edges();
    test_code();
    test_names();
    test_paths();
    test_templates();
    test_odd();
    test_other_texts();
    test_huge();
    return unit_done();
}
