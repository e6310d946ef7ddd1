#include "config_report.h"

#include <string.h>

const struct config_key config_pair_base = {.role = CONFIG_BASE};
const struct config_key config_pair_library = {.role = CONFIG_LIBRARY};
const struct config_key config_pair_class = {.role = CONFIG_CLASS};
const struct config_key config_pair_getter = {.role = CONFIG_GETTER};

void config_is(struct config *config)
{
    if (!config->said)
        scan_is(config->scan, config->format);
    config->said = true;
}

/* Reports with the way to the present value, unless the effect brings its own. */
static void config_report(struct config *config, struct effect *effect)
{
    char field[LIMIT_FIELD];

    if (config->scan->stopped)
        return;
    config_is(config);
    if (!effect->field) {
        way_text(config->way, config->depth, field, sizeof(field));
        effect->field = field;
        effect->offset = config->offset;
    }
    (void)scan_report(config->scan, config->format, effect);
}

void config_report_target(struct config *config, const char *text, bool split)
{
    char target[LIMIT_NAME + 8];
    struct effect effect = {.kind = EFFECT_DEPEND, .name = target, .how = DEPEND_DECLARED};
    size_t length = strnlen(text, sizeof(target) - 1);

    memcpy(target, text, length);
    target[length] = '\0';
    if (split) {
        char *at = memchr(target, '@', length);
        char *slash = memchr(target, '/', length);
        char *colon = slash ? strchr(slash, ':') : NULL;
        if (colon)
            *colon = '\0';
        if (at) {
            *at = '\0';
            effect.revision = at + 1;
        }
    }
    /* What stands elsewhere in the file is no name. */
    if (target[0] != '\0' && strncmp(target, "${", 2) != 0)
        config_report(config, &effect);
}

void config_report_code(struct config *config, const char *token, const char *text)
{
    char shown[LIMIT_ARGUMENT_TEXT];
    size_t length = text ? strnlen(text, sizeof(shown) - 1) : 0;
    struct argument argument = {.kind = ARGUMENT_STRING, .text = shown};
    struct effect effect = {.kind = EFFECT_CODE,
                            .name = token,
                            .arguments = &argument,
                            .argument_count = text ? 1 : 0,
                            .argument_known = true,
                            .detail = text ? shown : NULL};

    if (text)
        memcpy(shown, text, length);
    shown[length] = '\0';
    config_report(config, &effect);
}

/* dynamic_module_utils.py: a class reference is split at "--", and what stands before is another repository. */
void config_report_reference(struct config *config, const char *token, const char *text)
{
    char repository[LIMIT_NAME + 8];
    const char *split = strstr(text, "--");

    config_report_code(config, token, text);
    if (!split && !strchr(text, '/'))
        return;
    size_t length = split ? (size_t)(split - text) : strlen(text);
    memcpy(repository, text, length);
    repository[length] = '\0';
    config_report_target(config, repository, false);
}

void config_report_name(struct config *config, enum effect_kind kind, const char *name, bool arguments_known)
{
    struct effect effect = {.kind = kind, .name = name, .argument_known = arguments_known};

    if (name[0] != '\0')
        config_report(config, &effect);
}

void config_report_call_of(struct config *config, enum effect_kind kind, const char *module, const char *name)
{
    char full[LIMIT_NAME + 32];
    size_t length = strlen(module), rest = strnlen(name, LIMIT_NAME);

    memcpy(full, module, length);
    full[length] = '.';
    memcpy(full + length + 1, name, rest);
    full[length + 1 + rest] = '\0';
    if (rest > 0)
        config_report_name(config, kind, full, false);
}

void config_report_registered(struct config *config, const char *name)
{
    static const char prefix[] = "registered:";
    char token[LIMIT_NAME + 32];
    size_t length = strnlen(name, LIMIT_NAME);

    memcpy(token, prefix, sizeof(prefix) - 1);
    memcpy(token + sizeof(prefix) - 1, name, length);
    token[sizeof(prefix) - 1 + length] = '\0';
    config_report_code(config, token, NULL);
}

void config_report_own_revision(struct config *config, const char *revision)
{
    struct effect effect = {.kind = EFFECT_DEPEND, .name = ".", .revision = revision, .how = DEPEND_DECLARED};

    if (revision[0] != '\0')
        config_report(config, &effect);
}

void config_report_address(struct config *config, const char *text)
{
    struct effect effect = {.kind = EFFECT_CONNECT, .name = text};

    if (strncmp(text, "file:", 5) == 0) {
        effect.kind = EFFECT_READ;
        effect.name = text + 5;
    }
    if (text[0] == '\0')
        return;
    config_report(config, &effect);
    if (effect.kind == EFFECT_CONNECT)
        config_report_target(config, text, false);
}

/* Reads `torch.nn.LeakyReLU(0.1, inplace=True)`: the callee's length when the arguments are plain values, else 0. */
static size_t plain_call(const char *text)
{
    size_t name = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
    const char *end = text + name;

    if (name == 0 || *end != '(')
        return 0;
    end += 1 + strspn(end + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,=+- ");
    return *end == ')' && end[1 + strspn(end + 1, " ")] == '\0' ? name : 0;
}

void config_report_expression(struct config *config, const char *token, const char *text)
{
    char callee[LIMIT_NAME + 8];
    size_t length = plain_call(text);

    if (!strchr(text, '(')) /* nothing is called: a name that the loader knows */
        return;
    if (length == 0 || length > LIMIT_NAME) {
        config_report_code(config, token, text);
        return;
    }
    memcpy(callee, text, length);
    callee[length] = '\0';
    if (strncmp(callee, "nn.", 3) == 0) /* nn/tasks.py: import torch.nn as nn */
        config_report_call_of(config, EFFECT_CALL, "torch", callee);
    else if (strchr(callee, '.'))
        config_report_name(config, EFFECT_CALL, callee, false);
    else
        config_report_call_of(config, EFFECT_CALL, "builtins", callee);
}

static bool path_leaves(const char *path, bool absolute_counts)
{
    if (absolute_counts && path[0] == '/')
        return true;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

void config_report_path(struct config *config, const char *path, bool absolute_counts)
{
    struct effect effect = {.kind = EFFECT_READ, .name = path};

    if (config->cut)
        effect.detail = "a path too long to be one";
    else if (path_leaves(path, absolute_counts))
        effect.detail = "the path leads out of the model's folder";
    else
        return;
    config_report(config, &effect);
}

void config_report_shard(struct config *config, const char *path)
{
    static const char *const endings[] = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".npz"};
    struct effect effect = {
        .kind = EFFECT_READ, .name = path, .detail = "a shard that is no file of weights by its name"};
    size_t length = strlen(path);

    config_report_path(config, path, true);
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        size_t end = strlen(endings[i]);
        if (length > end && strcmp(path + length - end, endings[i]) == 0)
            return;
    }
    if (!config->cut && !path_leaves(path, true))
        config_report(config, &effect);
}

/* Reports what has come together and frees the pair's second half and target for a further reading. */
static void pair_report(struct config *config, struct pair *pair)
{
    struct effect effect = {.field = pair->field, .offset = pair->offset};

    if (!pair->first_there)
        return;
    if (pair->row->role == CONFIG_GETTER) {
        effect.kind = EFFECT_IMPORT;
        effect.name = pair->second;
        if (pair->second_there)
            config_report(config, &effect);
        return;
    }
    if (pair->row->role == CONFIG_BASE) {
        effect.kind = EFFECT_DEPEND;
        effect.how = DEPEND_DECLARED;
        effect.name = pair->first;
        effect.revision = pair->second_there ? pair->second : NULL;
        config_report(config, &effect);
        return;
    }
    /* getattr() does not walk dots: a class with dots is its own qualified name. */
    char name[2 * LIMIT_NAME + 24];
    size_t length = strlen(pair->first), second = pair->second_there ? strlen(pair->second) : 0;
    memcpy(name, pair->first, length);
    if (second > 0) {
        name[length++] = strchr(pair->second, '.') ? ':' : '.';
        memcpy(name + length, pair->second, second);
    }
    name[length + second] = '\0';
    struct argument argument = {.kind = ARGUMENT_STRING, .text = name};
    effect.kind = pair->row->token ? EFFECT_CODE : EFFECT_IMPORT;
    effect.name = pair->row->token ? pair->row->token : name;
    if (pair->row->token) {
        effect.arguments = &argument;
        effect.argument_count = 1;
        effect.argument_known = true;
        effect.detail = name;
    }
    config_report(config, &effect);
}

/* The pair of `row` in the object at hand; a new one when there is none yet; NULL when there is no room. */
static struct pair *pair_find(struct config *config, const struct config_key *row)
{
    struct pair *room = NULL;

    for (unsigned i = 0; i < LIMIT_CONFIG_PAIRS; i++) {
        struct pair *pair = &config->pairs[i];
        if (pair->row && pair->depth == config->depth && pair->row->role == row->role)
            return pair;
        if (!pair->row && !room)
            room = pair;
    }
    if (room) {
        room->row = row;
        room->depth = config->depth;
        room->first_there = room->second_there = false;
    }
    return room;
}

void config_pair_put(struct config *config, const struct config_key *row, bool second)
{
    struct pair *pair = pair_find(config, row);

    if (!pair) {
        if (!second && row->role == CONFIG_BASE)
            config_report_target(config, config->text, false);
        else if (!second || row->role == CONFIG_GETTER)
            config_report_name(config, EFFECT_IMPORT, config->text, false);
        return;
    }
    if (second ? pair->second_there : pair->first_there)
        pair_report(config, pair);
    memcpy(second ? pair->second : pair->first, config->text, config->text_length + 1);
    if (second) {
        pair->second_there = config->text_length > 0;
        return;
    }
    pair->first_there = config->text_length > 0;
    pair->row = row;
    pair->offset = config->offset;
    way_text(config->way, config->depth, pair->field, sizeof(pair->field));
}

void config_pairs_end(struct config *config, unsigned depth)
{
    for (unsigned i = 0; i < LIMIT_CONFIG_PAIRS; i++) {
        struct pair *pair = &config->pairs[i];
        if (pair->row && pair->depth > depth) {
            pair_report(config, pair);
            pair->row = NULL;
        }
    }
}
