/* Inside config*.c only: the table of keys that make a library do something. */
#ifndef GUARD_CONFIG_KEYS_H
#define GUARD_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* What the strings under a key are. */
enum config_role {
    CONFIG_TARGET, /* another model */
    CONFIG_BASE,   /* another model, whose revision stands beside it under "revision" */
    CONFIG_REVISION,
    CONFIG_HUB_TARGET,  /* another model when it is written as one: "org/name", "hf-hub:name"; else a name the library
                           knows */
    CONFIG_CODE,        /* "module.Class" or "org/name--module.Class": Python that comes with a model */
    CONFIG_PIPELINES,   /* objects whose "impl" is CONFIG_CODE */
    CONFIG_KERNEL,      /* native code from the hub when it has a "/" */
    CONFIG_ATTACK,      /* the key itself: no library writes it */
    CONFIG_IMPORT,      /* a module or class that is imported */
    CONFIG_MODULE_TYPE, /* a class that is imported, unless it is sentence-transformers' own */
    CONFIG_LIBRARY,     /* a module that is imported, and... */
    CONFIG_CLASS,       /* ...beside it what is looked up there */
    CONFIG_CALL,        /* a callable that is called with what stands beside it */
    CONFIG_ACTIVATION,  /* called without arguments when it is a dotted name */
    CONFIG_PATH,        /* a file of this model */
    CONFIG_PATH_UP,     /* the same, but absolute paths are ordinary left-overs that nobody opens */
    CONFIG_TEMPLATE     /* Jinja */
};

/* Files by their names, as bits. */
#define CONFIG_FILE_ADAPTER   0x001u /* adapter_config.json */
#define CONFIG_FILE_MODEL     0x002u /* config.json, config.VERSION.json */
#define CONFIG_FILE_TOKENIZER 0x004u /* tokenizer_config.json */
#define CONFIG_FILE_INDEX     0x008u /* *.index.json */
#define CONFIG_FILE_MODULES   0x010u /* modules.json of sentence-transformers */
#define CONFIG_FILE_ROUTER    0x020u /* router_config.json of the same */
#define CONFIG_FILE_PIPELINE  0x040u /* model_index.json, modular_model_index.json of diffusers */
#define CONFIG_FILE_STEPS     0x080u /* policy_preprocessor.json, policy_postprocessor.json of lerobot */
#define CONFIG_FILE_KNOWN     0x100u /* some config: one of the above or a name with "config" in it */
#define CONFIG_FILE_ANY       0x200u /* every JSON file */

struct config_key {
    const char *key;
    enum config_role role;
    unsigned files;    /* in which files it means that */
    bool inherited;    /* strings further down mean the same */
    const char *token; /* CODE effects: their name */
};

/* At most 64: the walk keeps a bit for each. */
extern const struct config_key config_keys[];
extern const size_t config_keys_count;

/* Which files `path` is by its last part. */
unsigned config_files(const char *path);

/* What `key` means in such files, or NULL. */
const struct config_key *config_key_find(const char *key, size_t length, unsigned files);

/* What "impl" means within custom_pipelines, and the components of a pipeline. */
extern const struct config_key config_pipeline_impl, config_pipeline_file;

#endif
