/* Model configs: which other models they name, which code they ask for, which files they point at. JSON, YAML, spaCy's
 * INI, the front matter of model cards, and chat templates in files of their own (*.jinja).
 *
 * A config is read as text with its loaders' meaning of it (json.h, yaml.h). What a key means mostly does not hang on
 * the file: the libraries hand nested objects around, so keys are recognised at any depth. Where it does ("adapters"
 * means nothing outside an adapter_config.json), the file's name decides, as it does for the loader; where it hangs on
 * the objects around it ("name" within "pipeline"), those decide. */
#ifndef GUARD_CONFIG_H
#define GUARD_CONFIG_H

#include "format.h"

/* Analyses `source`, a whole file or member of an archive, as the config that its path `name` says it is; the caller
 * knows that it belongs to a model. False when the path is none of a config, or the text is no such thing and nothing
 * was reported. Every reading of a duplicate key is reported, and `malformed` with it. Names with which effects are
 * reported:
 *
 *   DEPEND     the model, as written; "." for this very one; field and revision filled in
 *   CODE       what is referred to is the argument and the detail:
 *              - named code: "auto_map", "custom_pipelines", "custom_generate", "custom-pipeline", "hub-kernel",
 *                "module-type", "model-code-path", "registered:NAME"
 *              - carried code: "template-escape", "template-include", "config-eval"
 *              - keys that ask for trust or for what only attacks want: "config-trust-remote-code",
 *                "config-asks-trust", "config-attn-internal", "config-experts-internal"; "config-resolver": a value
 *                from the environment
 *   IMPORT     a module, or a class that is looked up in one
 *   CREATE     a class of which an instance is made
 *   CALL       a callable that the library calls; "?" when the name is put together from other places
 *   READ       a path that leaves the model's folder, or a shard that is no weights by its name
 *   CONNECT    an address that weights are fetched from
 *   MALFORMED  "json-duplicate-key", "config-duplicate-key", "json-depth", "yaml-alias", "yaml-anchors"
 *   OPAQUE     "config-size": larger than LIMIT_CONFIG; "yaml-encoding", "yaml-tuple" */
bool config_run(struct scan *scan, const struct source *source, const char *name);

#endif
