/* An effect in a clause, as messages, records and findings use it. */
#include "policy.h"
#include "text.h"

#include <string.h>

struct phrase { const char *token, *clause; };

/* Tokens of the effect `code`; what is not here is named by its token. */
static const struct phrase code_phrases[] = {
    {"marshal", "carries marshalled code"},
    {"torchscript", "carries TorchScript code"},
    {"torch-package", "carries Python modules in a torch.package"},
    {"python", "runs Python code that came with the model"},
    {"template", "carries a template"},
    {"template-escape", "carries a template that reaches out of its sandbox"},
    {"auto_map", "names Python code to be fetched with the model"},
    {"custom_pipelines", "names pipeline code to be fetched with the model"},
    {"hub-kernel", "names a compiled kernel to be fetched"},
    {"config-trust-remote-code", "asks in its config to be trusted with running code"},
    {"template-include", "carries a template that pulls in other files"},
    {"custom_generate", "names generation code to be fetched with the model"},
    {"model-code-path", "names Python code of its own: "},
    {"module-type", "names a module class outside the library"},
    {"config-eval", "carries an expression that its loader evaluates"},
    {"config-asks-trust", "asks in its config to be trusted with running code"},
    {"config-resolver", "takes a value from the environment"},
    {"config-experts-internal", "sets an internal switch that only attacks set"},
    {"config-attn-internal", "sets an internal attention switch that only attacks set"},
};

static const char *find_phrase(const char *token)
{
    for (size_t at = 0; at < sizeof code_phrases / sizeof code_phrases[0]; at++) {
        if (strcmp(code_phrases[at].token, token) == 0)
            return code_phrases[at].clause;
    }
    return NULL;
}

static void add_arguments(struct text *text, const struct effect *effect)
{
    char arguments[512];
    if (!effect->argument_known) {
        text_add(text, "(...)");
        return;
    }
    effect_render_arguments(effect, arguments, sizeof arguments);
    text_add(text, "(");
    text_add(text, arguments);
    text_add(text, ")");
}

static void describe_call(struct text *text, const struct effect *effect)
{
    if (effect->via != NULL) {
        text_add(text, "hands ");
        text_add_visible(text, strcmp(effect->name, "?") == 0 ? "something that it computed" : effect->name);
        text_add(text, " to ");
        text_add_visible(text, strcmp(effect->via, "?") == 0 ? "something else that it computed" : effect->via);
        text_add(text, ", which may call it");
    } else if (strcmp(effect->name, "?") == 0) {
        text_add(text, "calls something that it computed");
    } else {
        text_add(text, "calls ");
        text_add_visible(text, effect->name);
        add_arguments(text, effect);
    }
}

static void describe_dependency(struct text *text, const struct effect *effect)
{
    static const char *const verbs[] = {[DEPEND_DECLARED] = "names the model ",
                                        [DEPEND_PICKLED] = "loads the model ",
                                        [DEPEND_OBSERVED] = "opened the model "};
    bool base = effect->field != NULL && strstr(effect->field, "base_model") != NULL;
    text_add(text, base ? "names the base model " : verbs[effect->how]);
    text_add_visible(text, effect->name);
    if (effect->revision != NULL) {
        text_add(text, "@");
        text_add_visible(text, effect->revision);
    }
}

/* "VERB NAME", and " (DETAIL)" where there is one. */
static void describe_plainly(struct text *text, const char *verb, const struct effect *effect)
{
    text_add(text, verb);
    text_add_visible(text, effect->name);
    if (effect->detail != NULL) {
        text_add(text, " (");
        text_add_visible(text, effect->detail);
        text_add(text, ")");
    }
}

static void describe_code(struct text *text, const struct effect *effect)
{
    const char *clause = find_phrase(effect->name);
    text_add(text, clause != NULL ? clause : "carries code: ");
    if (clause == NULL)
        text_add_visible(text, effect->name);
    if (effect->detail != NULL) {
        text_add(text, " (");
        text_add_visible(text, effect->detail);
        text_add(text, ")");
    }
}

static void describe_bytes(struct text *text, const char *clause, const struct effect *effect)
{
    text_add(text, clause);
    text_add_visible(text, effect->detail != NULL ? effect->detail : effect->name);
}

size_t policy_describe(const struct effect *effect, char *buffer, size_t size)
{
    struct text text = text_into(buffer, size);
    if (effect->name == NULL) {
        text_add(&text, effect_kind_name(effect->kind));
        return text.length;
    }
    switch (effect->kind) {
    case EFFECT_IMPORT: describe_plainly(&text, "names ", effect); break;
    case EFFECT_CREATE: describe_plainly(&text, "creates a ", effect); break;
    case EFFECT_CALL: describe_call(&text, effect); break;
    case EFFECT_DEPEND: describe_dependency(&text, effect); break;
    case EFFECT_CODE: describe_code(&text, effect); break;
    case EFFECT_READ: describe_plainly(&text, "reads ", effect); break;
    case EFFECT_WRITE: describe_plainly(&text, "writes ", effect); break;
    case EFFECT_EXEC: describe_plainly(&text, "starts ", effect); break;
    case EFFECT_CONNECT: describe_plainly(&text, "connects to ", effect); break;
    case EFFECT_NATIVE: describe_plainly(&text, "loads native code from ", effect); break;
    case EFFECT_MALFORMED: describe_bytes(&text, "is malformed: ", effect); break;
    case EFFECT_OPAQUE: describe_bytes(&text, "cannot be inspected: ", effect); break;
    case EFFECT_KINDS: break;
    }
    if (effect->field != NULL) {
        text_add(&text, " in ");
        text_add_visible(&text, effect->field);
    }
    return text.length;
}
