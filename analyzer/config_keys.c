#include "config_keys.h"

#include <string.h>

#define ANY CONFIG_FILE_ANY

/* Each row was read in the source of the library that acts on it. */
const struct config_key config_keys[] = {
    /* peft: auto.py, tuners/xlora/model.py, tuners/lora/tp_layer.py, tuners/prompt_tuning/model.py; transformers reads
     * adapter_config.json on every from_pretrained (auto_factory.py) */
    {"base_model_name_or_path", CONFIG_BASE, ANY, false, NULL},
    {"revision", CONFIG_REVISION, ANY, false, NULL},
    {"adapters", CONFIG_TARGET, CONFIG_FILE_ADAPTER, true, NULL},
    {"parent_library", CONFIG_LIBRARY, ANY, false, NULL},
    {"base_model_class", CONFIG_CLASS, ANY, false, NULL},
    {"megatron_core", CONFIG_IMPORT, CONFIG_FILE_ADAPTER, false, NULL},
    {"prompt_tuning_init_state_dict_path", CONFIG_PATH, CONFIG_FILE_ADAPTER, false, NULL},
    {"covariance_file", CONFIG_PATH, CONFIG_FILE_ADAPTER, false, NULL},
    {"cache_file", CONFIG_PATH, CONFIG_FILE_ADAPTER, false, NULL},

    /* transformers: dynamic_module_utils.py, pipelines/__init__.py, generation/utils.py */
    {"auto_map", CONFIG_CODE, ANY, true, "auto_map"},
    {"custom_pipelines", CONFIG_PIPELINES, ANY, true, "custom_pipelines"},
    {"custom_generate", CONFIG_CODE, ANY, false, "custom_generate"},
    /* integrations/hub_kernels.py: a "/" makes it a repository of compiled code */
    {"attn_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel"},
    {"_attn_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel"},
    {"experts_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel"},
    {"_experts_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel"},
    /* CVE-2026-4372 and CVE-2026-5241: set from JSON these reached the loader past its own question */
    {"_attn_implementation_internal", CONFIG_ATTACK, ANY, false, "config-attn-internal"},
    {"_experts_implementation_internal", CONFIG_ATTACK, ANY, false, "config-experts-internal"},
    {"trust_remote_code", CONFIG_ATTACK, CONFIG_FILE_MODEL, false, "config-trust-remote-code"},
    /* backbone_utils.py; modeling_timm_backbone.py and modeling_timm_wrapper.py: timm.create_model */
    {"backbone", CONFIG_HUB_TARGET, CONFIG_FILE_KNOWN, false, NULL},
    {"architecture", CONFIG_HUB_TARGET, CONFIG_FILE_MODEL, false, NULL},
    {"hf_hub_id", CONFIG_HUB_TARGET, CONFIG_FILE_KNOWN, false, NULL},
    /* processing_bark.py, image_processing_oneformer.py, open_clip/model.py */
    {"repo_or_path", CONFIG_TARGET, ANY, false, NULL},
    {"repo_path", CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL},
    {"hf_model_name", CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL},
    {"hf_tokenizer_name", CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL},
    /* utils/hub.py joins these to the folder as they are */
    {"weight_map", CONFIG_PATH, CONFIG_FILE_INDEX, true, NULL},
    {"transformers_weights", CONFIG_PATH, ANY, false, NULL},
    {"configuration_files", CONFIG_PATH, CONFIG_FILE_KNOWN, true, NULL},
    {"vocab_file", CONFIG_PATH, CONFIG_FILE_TOKENIZER, false, NULL},
    {"merges_file", CONFIG_PATH, CONFIG_FILE_TOKENIZER, false, NULL},
    {"spm_file", CONFIG_PATH, CONFIG_FILE_TOKENIZER, false, NULL},
    {"fast_tokenizer_files", CONFIG_PATH, CONFIG_FILE_TOKENIZER, true, NULL},
    /* save_pretrained of old releases left the author's own cache path here in thousands of published tokenizers */
    {"tokenizer_file", CONFIG_PATH_UP, CONFIG_FILE_TOKENIZER, false, NULL},
    {"chat_template", CONFIG_TEMPLATE, ANY, true, "template-escape"},

    /* diffusers: modular_pipeline.py */
    {"pretrained_model_name_or_path", CONFIG_BASE, ANY, false, NULL},

    /* sentence-transformers: base/model.py, base/modules/router.py, base/modules/dense.py, cross_encoder/model.py */
    {"type", CONFIG_MODULE_TYPE, CONFIG_FILE_MODULES, false, NULL},
    {"path", CONFIG_PATH, CONFIG_FILE_MODULES, false, NULL},
    {"types", CONFIG_MODULE_TYPE, CONFIG_FILE_ROUTER, true, NULL},
    {"activation_fn", CONFIG_ACTIVATION, ANY, false, NULL},
    {"activation_function", CONFIG_ACTIVATION, ANY, false, NULL},
    {"sbert_ce_default_activation_function", CONFIG_ACTIVATION, ANY, false, NULL},

    /* hydra/_internal/utils.py; mlflow/pyfunc/__init__.py; lerobot/processor/pipeline.py */
    {"_target_", CONFIG_CALL, ANY, false, NULL},
    {"loader_module", CONFIG_IMPORT, ANY, false, NULL},
    {"class", CONFIG_IMPORT, CONFIG_FILE_STEPS, false, NULL},
};
const size_t config_keys_count = sizeof(config_keys) / sizeof(*config_keys);
_Static_assert(sizeof(config_keys) / sizeof(*config_keys) <= 64, "the walk keeps one bit a key");

const struct config_key config_pipeline_impl = {"impl", CONFIG_CODE, ANY, true, "custom_pipelines"};
const struct config_key config_pipeline_file = {"_class_name", CONFIG_LIBRARY, CONFIG_FILE_PIPELINE, false,
                                                "custom-pipeline"};

/* Libraries name their own keys after this pattern: teacher_name_or_path, audio_tokenizer_name_or_path, ... */
static const struct config_key any_name_or_path = {NULL, CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL};

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends(const char *text, size_t length, const char *end)
{
    size_t end_length = strlen(end);

    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

unsigned config_files(const char *path)
{
    static const struct {
        const char *name;
        unsigned file;
    } names[] = {
        {"adapter_config.json", CONFIG_FILE_ADAPTER},       {"config.json", CONFIG_FILE_MODEL},
        {"tokenizer_config.json", CONFIG_FILE_TOKENIZER},   {"modules.json", CONFIG_FILE_MODULES},
        {"router_config.json", CONFIG_FILE_ROUTER},         {"model_index.json", CONFIG_FILE_PIPELINE},
        {"modular_model_index.json", CONFIG_FILE_PIPELINE},
    };
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    unsigned files = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i].name) == 0)
            files |= names[i].file;
    if (ends(name, length, ".index.json"))
        files |= CONFIG_FILE_INDEX;
    /* transformers/configuration_utils.py: FULL_CONFIGURATION_FILE, "config.4.49.0.json" */
    if (starts(name, "config.") && ends(name, length, ".json"))
        files |= CONFIG_FILE_MODEL;
    if (starts(name, "policy_") && ends(name, length, "processor.json"))
        files |= CONFIG_FILE_STEPS;
    if (files != 0 || strstr(name, "config"))
        files |= CONFIG_FILE_KNOWN;
    return files | CONFIG_FILE_ANY;
}

const struct config_key *config_key_find(const char *key, size_t length, unsigned files)
{
    static const char suffix[] = "_name_or_path";

    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *row = &config_keys[i];
        if ((row->files & files) && row->key[0] == key[0] && strlen(row->key) == length &&
            memcmp(row->key, key, length) == 0)
            return row;
    }
    /* `_name_or_path` itself is where the model was saved from, and is not followed. */
    if ((files & any_name_or_path.files) && length > strlen(suffix) && ends(key, length, suffix))
        return &any_name_or_path;
    return NULL;
}
