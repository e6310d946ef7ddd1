#include "config_keys.h"

#include <string.h>

#define ANY  CONFIG_FILE_ANY
#define YAML CONFIG_FILE_YAML

/* Each row was read in the source of the library that acts on it. */
const struct config_key config_keys[] = {
    /* peft: auto.py, tuners/xlora/model.py, tuners/lora/tp_layer.py, tuners/prompt_tuning/model.py; transformers reads
     * adapter_config.json on every from_pretrained (auto_factory.py) */
    {"base_model_name_or_path", CONFIG_BASE, ANY, false, NULL, NULL},
    {"revision", CONFIG_REVISION, ANY | YAML, false, NULL, NULL},
    {"adapters", CONFIG_TARGET, CONFIG_FILE_ADAPTER, true, NULL, NULL},
    {"parent_library", CONFIG_LIBRARY, ANY, false, NULL, NULL},
    {"base_model_class", CONFIG_CLASS, ANY, false, NULL, NULL},
    {"megatron_core", CONFIG_IMPORT, CONFIG_FILE_ADAPTER, false, NULL, NULL},
    {"prompt_tuning_init_state_dict_path", CONFIG_PATH, CONFIG_FILE_ADAPTER, false, NULL, NULL},
    {"covariance_file", CONFIG_PATH, CONFIG_FILE_ADAPTER, false, NULL, NULL},
    {"cache_file", CONFIG_PATH, CONFIG_FILE_ADAPTER, false, NULL, NULL},

    /* transformers: dynamic_module_utils.py, pipelines/__init__.py, generation/utils.py */
    {"auto_map", CONFIG_CODE, ANY, true, "auto_map", NULL},
    {"custom_pipelines", CONFIG_PIPELINES, ANY, true, "custom_pipelines", NULL},
    {"custom_generate", CONFIG_CODE, ANY, false, "custom_generate", NULL},
    /* integrations/hub_kernels.py: a "/" makes it a repository of compiled code */
    {"attn_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel", NULL},
    {"_attn_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel", NULL},
    {"experts_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel", NULL},
    {"_experts_implementation", CONFIG_KERNEL, ANY, true, "hub-kernel", NULL},
    /* CVE-2026-4372 and CVE-2026-5241: set from JSON these reached the loader past its own question */
    {"_attn_implementation_internal", CONFIG_ATTACK, ANY, false, "config-attn-internal", NULL},
    {"_experts_implementation_internal", CONFIG_ATTACK, ANY, false, "config-experts-internal", NULL},
    {"trust_remote_code", CONFIG_ATTACK, CONFIG_FILE_MODEL, false, "config-trust-remote-code", NULL},
    /* elsewhere libraries take it out, and honest authors write it */
    {"trust_remote_code", CONFIG_ATTACK, CONFIG_FILE_KNOWN, false, "config-asks-trust", NULL},
    {"_commit_hash", CONFIG_OWN_REVISION, CONFIG_FILE_KNOWN, false, NULL, NULL},
    /* backbone_utils.py; modeling_timm_backbone.py and modeling_timm_wrapper.py: timm.create_model */
    {"backbone", CONFIG_HUB_TARGET, CONFIG_FILE_KNOWN, false, NULL, NULL},
    {"architecture", CONFIG_HUB_TARGET, CONFIG_FILE_MODEL, false, NULL, NULL},
    /* processing_utils.py: getattr(transformers, name) */
    {"audio_tokenizer_class", CONFIG_OF_TRANSFORMERS, ANY, false, NULL, NULL},
    /* processing_bark.py, image_processing_oneformer.py */
    {"repo_or_path", CONFIG_TARGET, ANY, false, NULL, NULL},
    {"semantic_prompt", CONFIG_PATH, ANY, false, NULL, NULL},
    {"coarse_prompt", CONFIG_PATH, ANY, false, NULL, NULL},
    {"fine_prompt", CONFIG_PATH, ANY, false, NULL, NULL},
    {"repo_path", CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL, NULL},
    {"class_info_file", CONFIG_PATH, CONFIG_FILE_KNOWN, false, NULL, NULL},
    /* configuration_utils.py: getattr(torch, name) */
    {"dtype", CONFIG_OF_TORCH, CONFIG_FILE_MODEL, false, NULL, NULL},
    {"torch_dtype", CONFIG_OF_TORCH, CONFIG_FILE_MODEL, false, NULL, NULL},
    /* retrieval_rag.py: an index and its pickles, from a folder or an address; passages and data sets */
    {"index_path", CONFIG_DATA, CONFIG_FILE_MODEL, false, NULL, NULL},
    {"passages_path", CONFIG_DATA, CONFIG_FILE_MODEL, false, NULL, NULL},
    {"dataset", CONFIG_BASE, CONFIG_FILE_MODEL, false, NULL, NULL},
    {"dataset_revision", CONFIG_REVISION, CONFIG_FILE_MODEL, false, NULL, NULL},
    /* utils/hub.py joins these to the folder as they are */
    {"weight_map", CONFIG_SHARD, CONFIG_FILE_INDEX, true, NULL, NULL},
    {"transformers_weights", CONFIG_PATH, ANY, false, NULL, NULL},
    {"configuration_files", CONFIG_PATH, CONFIG_FILE_KNOWN, true, NULL, NULL},
    {"vocab_file", CONFIG_PATH, CONFIG_FILE_TOKENIZER, false, NULL, NULL},
    {"merges_file", CONFIG_PATH, CONFIG_FILE_TOKENIZER, false, NULL, NULL},
    {"spm_file", CONFIG_PATH, CONFIG_FILE_TOKENIZER, false, NULL, NULL},
    {"fast_tokenizer_files", CONFIG_PATH, CONFIG_FILE_TOKENIZER, true, NULL, NULL},
    /* save_pretrained of old releases left the author's own cache path here in thousands of published tokenizers */
    {"tokenizer_file", CONFIG_PATH_UP, CONFIG_FILE_TOKENIZER, false, NULL, NULL},
    {"chat_template", CONFIG_TEMPLATE, ANY | YAML, true, NULL, NULL},

    /* timm: models/_builder.py, _hub.py; open_clip: model.py, factory.py */
    {"pretrained_cfg", CONFIG_CONTEXT, ANY, false, NULL, NULL},
    {"url", CONFIG_ADDRESS, ANY, false, NULL, "pretrained_cfg"},
    {"file", CONFIG_PATH, ANY, false, NULL, "pretrained_cfg"},
    {"hf_hub_filename", CONFIG_PATH, ANY, false, NULL, "pretrained_cfg"},
    {"hf_hub_id", CONFIG_HUB_TARGET, CONFIG_FILE_KNOWN, false, NULL, NULL},
    {"hf_model_name", CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL, NULL},
    {"hf_tokenizer_name", CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL, NULL},
    {"timm_model_name", CONFIG_HUB_TARGET, CONFIG_FILE_KNOWN, false, NULL, NULL},

    /* diffusers: modular_pipeline.py; pipeline_utils.py, CONNECTED_PIPES_KEYS */
    {"pretrained_model_name_or_path", CONFIG_BASE, ANY | YAML, false, NULL, NULL},
    {"type_hint", CONFIG_COMPONENT, CONFIG_FILE_PIPELINE, false, NULL, NULL},
    {"prior", CONFIG_TARGET, CONFIG_FILE_CARD, true, NULL, NULL},
    {"base_model", CONFIG_TARGET, CONFIG_FILE_CARD, true, NULL, NULL},

    /* sentence-transformers: base/model.py, base/modules/router.py, base/modules/dense.py, cross_encoder/model.py */
    {"type", CONFIG_MODULE_TYPE, CONFIG_FILE_MODULES, false, "module-type", NULL},
    {"path", CONFIG_PATH, CONFIG_FILE_MODULES, false, NULL, NULL},
    {"types", CONFIG_MODULE_TYPE, CONFIG_FILE_ROUTER, true, "module-type", NULL},
    {"activation_fn", CONFIG_ACTIVATION, ANY, false, NULL, NULL},
    {"activation_function", CONFIG_ACTIVATION, ANY, false, NULL, NULL},
    {"sbert_ce_default_activation_function", CONFIG_ACTIVATION, ANY, false, NULL, NULL},

    /* lerobot: processor/pipeline.py */
    {"class", CONFIG_CALL_DOTTED, CONFIG_FILE_STEPS, false, NULL, NULL},
    {"pretrained_path", CONFIG_HUB_SHAPED, CONFIG_FILE_MODEL | YAML, false, NULL, NULL},

    /* hydra/_internal/utils.py; nemo/core/classes/common.py, and latent diffusion's instantiate_from_config */
    {"_target_", CONFIG_CALL, ANY | YAML, false, NULL, NULL},
    {"target", CONFIG_CALL_DOTTED, YAML, false, NULL, NULL},
    {"path", CONFIG_GETTER, YAML, false, NULL, NULL},

    /* mlflow: pyfunc/__init__.py, utils/model_utils.py, models/utils.py */
    {"loader_module", CONFIG_IMPORT, ANY | YAML, false, NULL, NULL},
    {"model_code_path", CONFIG_CODE_FILE, CONFIG_FILE_MLMODEL, false, "model-code-path", NULL},
    {"python_function", CONFIG_CONTEXT, CONFIG_FILE_MLMODEL, false, NULL, NULL},
    {"code", CONFIG_CODE_FILE, CONFIG_FILE_MLMODEL, false, "model-code-path", "=python_function"},
    {"data", CONFIG_PATH, CONFIG_FILE_MLMODEL, false, NULL, "=python_function"},
    {"python_model", CONFIG_PATH, CONFIG_FILE_MLMODEL, false, NULL, "=python_function"},
    {"artifacts", CONFIG_CONTEXT, CONFIG_FILE_MLMODEL, false, NULL, NULL},
    {"uri", CONFIG_TARGET, CONFIG_FILE_MLMODEL, false, NULL, "artifacts"},
    {"path", CONFIG_PATH, CONFIG_FILE_MLMODEL, false, NULL, "artifacts"},

    /* pyannote.audio: core/pipeline.py */
    {"pipeline", CONFIG_CONTEXT, YAML, false, NULL, NULL},
    {"name", CONFIG_CALL_DOTTED, YAML, false, NULL, "=pipeline"},
    {"segmentation", CONFIG_HUB_TARGET, YAML, false, NULL, "pipeline"},
    {"segmentation_model", CONFIG_HUB_TARGET, YAML, false, NULL, "pipeline"},
    {"embedding", CONFIG_HUB_TARGET, YAML, false, NULL, "pipeline"},
    {"plda", CONFIG_HUB_TARGET, YAML, false, NULL, "pipeline"},
    {"checkpoint", CONFIG_HUB_TARGET, YAML, false, NULL, "pipeline"},
    {"preprocessors", CONFIG_CONTEXT, YAML, false, NULL, NULL},
    {"name", CONFIG_CALL_DOTTED, YAML, false, NULL, "preprocessors"},

    /* speechbrain: utils/parameter_transfer.py, inference/interfaces.py */
    {"pretrainer", CONFIG_CONTEXT, YAML, false, NULL, NULL},
    {"paths", CONFIG_HUB_TARGET, YAML, true, NULL, "pretrainer"},
    {"source", CONFIG_HUB_SHAPED, YAML, false, NULL, NULL},
    /* ultralytics: nn/tasks.py, eval() */
    {"activation", CONFIG_EVALUATED, YAML, false, "config-eval", NULL},
    /* torch.export: _export/serde/schema.py */
    {"expr_str", CONFIG_SYMBOLIC, ANY, false, "config-eval", NULL},
    {"guards_code", CONFIG_SYMBOLIC, ANY, true, "config-eval", NULL},

    /* spaCy: language.py, util.py; spacy-transformers */
    {"components", CONFIG_CONTEXT, CONFIG_FILE_INI, false, NULL, NULL},
    {"source", CONFIG_TARGET, CONFIG_FILE_INI, false, NULL, "components"},
    {"name", CONFIG_TARGET, CONFIG_FILE_INI, false, NULL, "components"},
    {"vectors", CONFIG_TARGET, CONFIG_FILE_INI, false, NULL, NULL},
    {"@callbacks", CONFIG_CODE_NAMED, CONFIG_FILE_INI, false, NULL, NULL},
    {"@architectures", CONFIG_CODE_NAMED, CONFIG_FILE_INI, false, NULL, NULL},
    {"@readers", CONFIG_CODE_NAMED, CONFIG_FILE_INI, false, NULL, NULL},
    {"@misc", CONFIG_CODE_NAMED, CONFIG_FILE_INI, false, NULL, NULL},
};
const size_t config_keys_count = sizeof(config_keys) / sizeof(*config_keys);
_Static_assert(sizeof(config_keys) / sizeof(*config_keys) <= 128, "the walk keeps one bit a key");

const struct config_key config_pipeline_impl = {"impl", CONFIG_CODE, ANY, true, "custom_pipelines", NULL};
const struct config_key config_pipeline_file = {"_class_name", CONFIG_LIBRARY, CONFIG_FILE_PIPELINE, false,
                                                "custom-pipeline", NULL};

/* Libraries name their own keys after these patterns: teacher_name_or_path, vlm_model_name, tokenizer_name,
 * wav2vec2_hub. */
static const struct {
    const char *suffix;
    struct config_key meaning;
} patterns[] = {
    {"_name_or_path", {NULL, CONFIG_TARGET, CONFIG_FILE_KNOWN, false, NULL, NULL}},
    {"_name", {NULL, CONFIG_HUB_SHAPED, CONFIG_FILE_MODEL | YAML, false, NULL, NULL}},
    {"_hub", {NULL, CONFIG_HUB_SHAPED, YAML, false, NULL, NULL}},
};

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

    if (strcmp(name, "MLmodel") == 0)
        return CONFIG_FILE_MLMODEL | YAML;
    if (strcmp(name, "README.md") == 0)
        return CONFIG_FILE_CARD;
    if (ends(name, length, ".yaml") || ends(name, length, ".yml"))
        return YAML;
    if (strcmp(name, "config.cfg") == 0)
        return CONFIG_FILE_INI;
    if (!ends(name, length, ".json"))
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i].name) == 0)
            files |= names[i].file;
    if (ends(name, length, ".index.json"))
        files |= CONFIG_FILE_INDEX;
    /* transformers/configuration_utils.py: FULL_CONFIGURATION_FILE, "config.4.49.0.json" */
    if (starts(name, "config."))
        files |= CONFIG_FILE_MODEL;
    if (starts(name, "policy_") && ends(name, length, "processor.json"))
        files |= CONFIG_FILE_STEPS;
    if (files != 0 || strstr(name, "config"))
        files |= CONFIG_FILE_KNOWN;
    return files | CONFIG_FILE_ANY;
}

static bool within_holds(const char *within, const struct config_key *context, bool here)
{
    if (!within)
        return true;
    if (*within == '=')
        return here && context && strcmp(context->key, within + 1) == 0;
    return context && strcmp(context->key, within) == 0;
}

const struct config_key *config_key_find(const char *key, size_t length, unsigned files,
                                         const struct config_key *context, bool here)
{
    const struct config_key *found = NULL;

    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *row = &config_keys[i];
        if (!(row->files & files) || row->key[0] != key[0] || strlen(row->key) != length ||
            memcmp(row->key, key, length) != 0 || !within_holds(row->within, context, here))
            continue;
        /* What holds in this place only says more than what holds everywhere. */
        if (row->within)
            return row;
        if (!found)
            found = row;
    }
    /* `_name_or_path` itself is where the model was saved from, and is not followed. */
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns) && !found; i++)
        if ((files & patterns[i].meaning.files) && length > strlen(patterns[i].suffix) &&
            ends(key, length, patterns[i].suffix))
            found = &patterns[i].meaning;
    return found;
}
