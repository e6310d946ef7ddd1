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
    CONFIG_HUB_SHAPED,  /* another model when it is exactly "org/name" */
    CONFIG_OWN_REVISION, /* the revision of this very model that later look-ups use */
    CONFIG_CODE,        /* "module.Class" or "org/name--module.Class": Python that comes with a model */
    CONFIG_CODE_FILE,   /* a Python file or folder of this model */
    CONFIG_CODE_NAMED,  /* code that the program or an installed package has registered under this name */
    CONFIG_PIPELINES,   /* objects whose "impl" is CONFIG_CODE */
    CONFIG_KERNEL,      /* native code from the hub when it has a "/" */
    CONFIG_ATTACK,      /* the key itself: no library writes it */
    CONFIG_IMPORT,      /* a module or class that is imported */
    CONFIG_OF_TRANSFORMERS, /* a class that is looked up in transformers */
    CONFIG_OF_TORCH,    /* a type of numbers that is looked up in torch */
    CONFIG_MODULE_TYPE, /* a class that is imported, unless it is sentence-transformers' own */
    CONFIG_LIBRARY,     /* a module that is imported, and... */
    CONFIG_CLASS,       /* ...beside it what is looked up there */
    CONFIG_COMPONENT,   /* an array of both */
    CONFIG_CALL,        /* a callable that is called with what stands beside it */
    CONFIG_CALL_DOTTED, /* the same when it is a dotted name */
    CONFIG_GETTER,      /* what hydra.utils.get_method and the like beside it look up */
    CONFIG_ACTIVATION,  /* called without arguments when it is a dotted name */
    CONFIG_EVALUATED,   /* an expression of Python */
    CONFIG_SYMBOLIC,    /* arithmetic on sizes, evaluated as Python */
    CONFIG_PATH,        /* a file of this model */
    CONFIG_PATH_UP,     /* the same, but absolute paths are ordinary left-overs that nobody opens */
    CONFIG_DATA,        /* data that the model reads, from wherever its user keeps them */
    CONFIG_SHARD,       /* a file of weights of this model */
    CONFIG_ADDRESS,     /* a URL that weights are fetched from */
    CONFIG_TEMPLATE,    /* Jinja */
    CONFIG_CONTEXT      /* nothing by itself: keys in the object under it mean what they do not elsewhere */
};

/* Files by their names, as bits. */
#define CONFIG_FILE_ADAPTER   0x0001u /* adapter_config.json */
#define CONFIG_FILE_MODEL     0x0002u /* config.json, config.VERSION.json */
#define CONFIG_FILE_TOKENIZER 0x0004u /* tokenizer_config.json */
#define CONFIG_FILE_INDEX     0x0008u /* *.index.json */
#define CONFIG_FILE_MODULES   0x0010u /* modules.json of sentence-transformers */
#define CONFIG_FILE_ROUTER    0x0020u /* router_config.json of the same */
#define CONFIG_FILE_PIPELINE  0x0040u /* model_index.json, modular_model_index.json of diffusers */
#define CONFIG_FILE_STEPS     0x0080u /* policy_preprocessor.json, policy_postprocessor.json of lerobot */
#define CONFIG_FILE_KNOWN     0x0100u /* some config: one of the above or a JSON file with "config" in its name */
#define CONFIG_FILE_ANY       0x0200u /* every JSON file */
#define CONFIG_FILE_YAML      0x0400u /* every YAML file, MLmodel included */
#define CONFIG_FILE_MLMODEL   0x0800u /* MLmodel of MLflow */
#define CONFIG_FILE_CARD      0x1000u /* README.md: the model card's front matter */
#define CONFIG_FILE_INI       0x2000u /* *.cfg: config.cfg of spaCy */

struct config_key {
    const char *key;
    enum config_role role;
    unsigned files;     /* in which files it means that */
    bool inherited;     /* strings further down mean the same */
    const char *token;  /* CODE effects: their name */
    const char *within; /* only somewhere inside the CONFIG_CONTEXT of this key; "=key": right inside it; NULL:
                           anywhere */
};

/* At most 128: the walk keeps a bit for each. */
extern const struct config_key config_keys[];
extern const size_t config_keys_count;

/* Which files `path` is by its last part; 0: none of a config. */
unsigned config_files(const char *path);

/* What `key` means in such files inside `context` (NULL: in none; `here`: right inside it), or NULL. */
const struct config_key *config_key_find(const char *key, size_t length, unsigned files,
                                         const struct config_key *context, bool here);

/* What "impl" means within custom_pipelines, and the components of a pipeline. */
extern const struct config_key config_pipeline_impl, config_pipeline_file;

#endif
