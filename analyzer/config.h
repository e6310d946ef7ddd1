/* Model configs in JSON: which other models they name, which code they ask for, which files they point at.
 *
 * A config is read as text with Python's meaning of JSON (json.h). What a key means mostly does not hang on the file:
 * the libraries hand nested objects around, so keys are recognised at any depth. Where it does ("adapters" means
 * nothing outside an adapter_config.json), the file's name decides, as it does for the loader. A chat template in a file
 * of its own (*.jinja) is a config too. */
#ifndef GUARD_CONFIG_H
#define GUARD_CONFIG_H

#include "format.h"

/* Analyses `source`, a whole file or member of an archive, as the config that its path `name` says it is; the caller knows
 * that it belongs to a model. False when the path is none of a config, or the text no JSON and nothing was reported. Every reading of a duplicate key is reported, and `malformed`
 * with it. Names with which effects are reported:
 *
 *   DEPEND     the model, as written; field and revision filled in
 *   CODE       "auto_map", "custom_pipelines", "custom_generate", "custom-pipeline", "hub-kernel", "template-escape",
 *              and as only attacks have them "config-trust-remote-code", "config-attn-internal",
 *              "config-experts-internal"; what is referred to is the argument and the detail
 *   IMPORT     a module, or a class that is looked up in one
 *   CALL       a callable that the library calls
 *   READ       a path that leaves the model's folder
 *   MALFORMED  "json-duplicate-key", "json-depth"
 *   OPAQUE     "config-size": a config larger than LIMIT_CONFIG */
bool config_run(struct scan *scan, const struct source *source, const char *name);

#endif
