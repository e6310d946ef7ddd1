#include "keras.h"

#include "bytes.h"
#include "json.h"

#include <string.h>

/* Facts: keras/src/saving/serialization_lib.py (deserialize_keras_object), legacy/saving/legacy_h5_format.py,
 * layers/core/lambda_layer.py, export/tfsm_layer.py, utils/torch_utils.py, and tf_keras' generic_utils.py. Keras guards
 * most of it by safe_mode, which callers turn off and releases have had holes in (CVE-2024-3660, CVE-2025-1550,
 * CVE-2025-8747). */
#define FORMAT "keras"

#define NAME_SIZE 256u /* longest module, class or path kept; Python's longest dotted names are under 200 */

enum key {
    KEY_OTHER, KEY_MODULE, KEY_CLASS, KEY_CONFIG, KEY_KIND, KEY_VOCABULARY, KEY_PROTO, KEY_PATH, KEY_REGISTERED
};

/* One open object. */
struct object {
    enum key key; /* of the value that comes next */
    bool has_class, has_config;
    uint64_t offset;
    char module[NAME_SIZE], class[NAME_SIZE];
    char function[NAME_SIZE]; /* "config", when that is a text */
    char path[NAME_SIZE];     /* "filepath", of its config */
    char registered[NAME_SIZE];
};

/* A PyTorch module in base64, being decoded. */
struct pickled {
    unsigned char *bytes;
    size_t length, size;
    unsigned quad, pads, bits; /* as in CPython's binascii.a2b_base64 */
    bool open, ended, overflow;
    uint64_t offset;
};

struct keras {
    struct scan *scan;
    struct json json;
    struct object *objects; /* by depth */
    struct pickled pickled;
    struct arena_mark mark; /* before pickled.bytes */
    bool reported, root;
};

static void report(struct keras *keras, struct effect *effect)
{
    char field[LIMIT_FIELD];
    if (keras->scan->stopped)
        return;
    if (json_path(&keras->json, field, sizeof field) > 0)
        effect->field = field;
    keras->reported = true;
    scan_is(keras->scan, FORMAT);
    scan_report(keras->scan, FORMAT, effect);
}

static void code_report(struct keras *keras, const char *token, uint64_t offset, const char *detail)
{
    struct effect effect = {
        .kind = EFFECT_CODE, .name = token, .offset = offset, .detail = detail, .argument_known = true};
    report(keras, &effect);
}

/* --- Names -------------------------------------------------------------------------------------------------------- */

/* Is `module` `package` or inside it? Returns what follows, without the dot, or NULL. */
static const char *module_within(const char *module, const char *package)
{
    size_t length = strlen(package);
    if (strncmp(module, package, length) != 0)
        return NULL;
    return module[length] == '\0' ? module + length : module[length] == '.' ? module + length + 1 : NULL;
}

/* Keras' own classes are layers, losses and the like, whatever arguments they get. Some of its packages do other
 * things: fetch files, load models, run code (CVE-2025-8747 went by keras.utils.get_file). */
static bool keras_owns(const char *module, const char *name)
{
    static const char *const packages[] = {"keras",      "tf_keras",  "tensorflow.keras", "tensorflow.python.keras",
                                           "keras_core", "keras_hub", "keras_nlp",        "keras_cv"};
    static const char *const others[] = {"utils",         "saving",    "config", "export",  "datasets",
                                         "preprocessing", "callbacks", "legacy", "backend", "tools"};
    static const char *const loaders[] = {"load_model", "load_weights", "model_from_json", "model_from_config",
                                          "clone_model"};
    const char *inside = NULL;
    for (size_t i = 0; i < sizeof packages / sizeof *packages && !inside; i++)
        inside = module_within(module, packages[i]);
    if (!inside)
        return false;
    for (const char *layer = inside; layer; layer = module_within(inside, "src")) {
        if (layer != inside)
            inside = layer;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (module_within(inside, others[i]))
                return false;
    }
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++)
        if (strcmp(name, loaders[i]) == 0)
            return false;
    return strchr(name, '.') == NULL;
}

static void name_judge(struct keras *keras, const struct object *object)
{
    char name[2 * NAME_SIZE + 2];
    bool function = strcmp(object->class, "function") == 0;
    const char *called = function ? object->function : object->class;
    size_t length = strlen(object->module);
    /* Without a module the name is looked up among Keras' own and what the program registered. */
    if (length == 0 || called[0] == '\0' || strncmp(called, "__", 2) == 0 || keras_owns(object->module, called))
        return;
    memcpy(name, object->module, length);
    name[length++] = strchr(called, '.') ? ':' : '.';
    memcpy(name + length, called, strlen(called) + 1);
    struct effect effect = {.kind = EFFECT_CALL, .name = name, .offset = object->offset};
    if (function && strcmp(object->module, "builtins") == 0)
        effect.kind = EFFECT_IMPORT;
    report(keras, &effect);
}

/* An object has ended: all its keys are known, in whatever order they came. */
static void object_judge(struct keras *keras, const struct object *object)
{
    const char *class = strchr(object->class, '>') ? strchr(object->class, '>') + 1 : object->class;
    if (!object->has_class)
        return;
    if (strcmp(class, "__lambda__") == 0)
        code_report(keras, "keras-lambda", object->offset, "marshalled code");
    else if (strcmp(class, "Lambda") == 0)
        code_report(keras, "keras-lambda-layer", object->offset, "a Lambda layer");
    else if (strcmp(class, "TorchModuleWrapper") == 0)
        code_report(keras, "keras-torch-module", object->offset, "a layer that unpickles a PyTorch module");
    if (strcmp(class, "TFSMLayer") == 0) {
        struct effect effect = {
            .kind = EFFECT_DEPEND, .name = object->path, .how = DEPEND_DECLARED, .offset = object->offset};
        code_report(keras, "keras-tfsm-layer", object->offset, "a layer that loads and runs a SavedModel");
        if (object->path[0] != '\0')
            report(keras, &effect);
    }
    /* Keras writes none for its own; its newest releases refuse one, older ones take whatever the program registered
     * under it. */
    if (object->registered[0] != '\0' && module_within(object->module, "keras") &&
        strcmp(object->registered, object->class) != 0) {
        struct effect effect = {.kind = EFFECT_MALFORMED, .name = "keras-registered-name", .offset = object->offset,
                                .detail = "a class of Keras' own that is registered under another name"};
        report(keras, &effect);
    }
    name_judge(keras, object);
}

/* --- A pickled PyTorch module ------------------------------------------------------------------------------------- */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* CPython passes over what is no base64, and ends at the padding. */
static void pickled_feed(struct pickled *pickled, const char *text, size_t length)
{
    for (size_t i = 0; i < length && !pickled->ended; i++) {
        int value = base64_value(text[i]);
        if (text[i] == '=') {
            pickled->pads++;
            pickled->ended = pickled->quad >= 2 && pickled->quad + pickled->pads >= 4;
        }
        if (value < 0)
            continue;
        pickled->pads = 0;
        pickled->bits = (pickled->bits << 6 | (unsigned)value) & 0xffffff;
        pickled->quad = (pickled->quad + 1) & 3;
        if (pickled->quad == 1)
            continue;
        if (pickled->length == pickled->size) {
            pickled->overflow = true;
            return;
        }
        unsigned shift = pickled->quad == 2 ? 4 : pickled->quad == 3 ? 2 : 0;
        pickled->bytes[pickled->length++] = (unsigned char)(pickled->bits >> shift);
    }
}

/* Any long "module" may be one: whose it is may only be said behind it. */
static void pickled_begin(struct keras *keras)
{
    struct pickled *pickled = &keras->pickled;
    size_t size = LIMIT_KERAS_MODULE;
    if (!keras->json.cut && keras->json.text_length < 24)
        return;
    if (!keras->json.cut)
        size = keras->json.text_length;
    else if (keras->json.reader.end - keras->json.offset < size)
        size = (size_t)(keras->json.reader.end - keras->json.offset);
    keras->mark = arena_mark(keras->scan->arena);
    *pickled =
        (struct pickled){.bytes = arena_take(keras->scan->arena, size), .size = size, .offset = keras->json.offset};
    pickled->open = pickled->bytes != NULL;
    if (!pickled->open)
        scan_failed(keras->scan, SCAN_MEMORY, 0);
    else
        pickled_feed(pickled, keras->json.text, keras->json.text_length);
}

static void pickled_end(struct keras *keras)
{
    struct pickled *pickled = &keras->pickled;
    struct source_memory memory = {pickled->bytes, pickled->length};
    struct source source = source_from_memory(&memory);
    bool model = keras->scan->model;
    if (!pickled->open)
        return;
    pickled->open = false;
    if (scan_nested(keras->scan, &source, "module")) {
        keras->reported = true;
        if (pickled->overflow)
            scan_opaque(keras->scan, FORMAT, "keras-torch-module-size", pickled->offset,
                        "a pickled module too large to be inspected");
    }
    keras->scan->model = model;
    arena_release(keras->scan->arena, keras->mark);
}

/* --- The walk ----------------------------------------------------------------------------------------------------- */

static enum key key_find(const struct json *json)
{
    static const struct {
        const char *name;
        enum key key;
    } keys[] = {
        {"module", KEY_MODULE},          {"class_name", KEY_CLASS},     {"config", KEY_CONFIG},
        {"function_type", KEY_KIND},     {"output_shape_type", KEY_KIND}, {"mask_type", KEY_KIND},
        {"vocabulary", KEY_VOCABULARY},  {"filepath", KEY_PATH},        {"merges", KEY_VOCABULARY},
        {"proto", KEY_PROTO},            {"registered_name", KEY_REGISTERED},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_text_is(json, keys[i].name))
            return keys[i].key;
    return KEY_OTHER;
}

static void text_keep(const struct json *json, char to[NAME_SIZE])
{
    size_t length = json->text_length < NAME_SIZE - 1 ? json->text_length : NAME_SIZE - 1;
    memcpy(to, json->text, length);
    to[length] = '\0';
}

static void text_read(struct keras *keras, struct object *object)
{
    struct json *json = &keras->json;
    switch (object->key) {
    case KEY_MODULE:
        text_keep(json, object->module);
        pickled_begin(keras);
        break;
    case KEY_CLASS:
        /* A class that stands there twice: both readings count. */
        if (object->has_class)
            object_judge(keras, object);
        text_keep(json, object->class);
        object->has_class = true;
        break;
    case KEY_CONFIG:
        text_keep(json, object->function);
        object->has_config = true;
        break;
    case KEY_KIND:
        if (json_text_is(json, "lambda"))
            code_report(keras, "keras-lambda", json->offset, "marshalled code");
        break;
    case KEY_REGISTERED:
        text_keep(json, object->registered);
        break;
    case KEY_PROTO:
        /* A tokenizer's bytes in base64, or a path to them; the first never begin so. */
        if (json->cut || !(path_leaves(json->text) || strstr(json->text, "://")))
            break;
        /* fall through */
    case KEY_VOCABULARY:
        if (json->text_length > 0) {
            struct effect effect = {.kind = EFFECT_READ, .name = json->text, .offset = json->offset,
                                    .detail = "a vocabulary is read from a path or URL when the model is built"};
            report(keras, &effect);
        }
        break;
    case KEY_PATH:
        text_keep(json, object->path);
        break;
    case KEY_OTHER:
        break;
    }
}

/* An object begins or ends at json.depth. */
static void object_bound(struct keras *keras, bool begins)
{
    struct object *object = &keras->objects[keras->json.depth + (begins ? 0 : 1)];
    struct object *parent = object - 1;
    if (begins) {
        memset(object, 0, sizeof *object);
        object->offset = keras->json.offset;
        parent->has_config |= parent->key == KEY_CONFIG;
        return;
    }
    if (parent->key == KEY_CONFIG && object->path[0] != '\0')
        memcpy(parent->path, object->path, sizeof parent->path);
    object_judge(keras, object);
    if (keras->json.depth == 0)
        keras->root = object->has_class && object->has_config;
}

static void event_read(struct keras *keras, enum json_event event)
{
    struct json *json = &keras->json;
    struct object *object = &keras->objects[json->depth];
    if (event == JSON_STRING_MORE) {
        if (keras->pickled.open)
            pickled_feed(&keras->pickled, json->text, json->text_length);
        return;
    }
    pickled_end(keras);
    switch (event) {
    case JSON_OBJECT:
        object_bound(keras, true);
        break;
    case JSON_OBJECT_END:
        object_bound(keras, false);
        break;
    case JSON_ARRAY:
        memset(object, 0, sizeof *object); /* texts in it are none of the object's */
        break;
    case JSON_KEY:
        object->key = json->cut ? KEY_OTHER : key_find(json);
        break;
    case JSON_STRING:
        text_read(keras, object);
        break;
    default:
        break;
    }
}

bool keras_scan(struct scan *scan, const struct source *source)
{
    struct keras *keras = arena_take(scan->arena, sizeof *keras);
    enum json_event event;
    if (keras)
        keras->objects = arena_take(scan->arena, (LIMIT_JSON_DEPTH + 2) * sizeof *keras->objects);
    if (!keras || !keras->objects || !json_open(&keras->json, scan->arena, source)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    keras->scan = scan;
    event = json_next(&keras->json);
    if (event != JSON_OBJECT && keras->json.error != JSON_ERROR_IO)
        return false;
    for (; event != JSON_FAILED && event != JSON_FINISHED && !scan->stopped; event = json_next(&keras->json))
        event_read(keras, event);
    pickled_end(keras);
    if (scan->stopped)
        return true;
    if (keras->json.error == JSON_ERROR_IO) {
        scan_failed(scan, SCAN_IO, keras->json.reader.error);
        return true;
    }
    if (keras->json.error == JSON_ERROR_DEPTH) {
        scan_is(scan, FORMAT);
        scan_malformed(scan, FORMAT, "json-depth", keras->json.offset, "nested deeper than readers agree to follow");
        return true;
    }
    if (keras->root)
        scan_is(scan, FORMAT);
    return keras->root || keras->reported;
}

/* An object with the words that Keras' always have. */
static unsigned keras_bid(const struct bid_view *view)
{
    unsigned char narrow[SCAN_HEAD];
    size_t at, length;
    const unsigned char *head = json_head(view, narrow, &length);
    at = bytes_blank(head, length);
    if (at == length || head[at] != '{')
        return 0;
    if (!bytes_hold(head, length, "\"class_name\"") || !bytes_hold(head, length, "\"config\""))
        return 0;
    /* The version stands at the end, which a wide text does not show. */
    return bytes_hold(head, length, "keras") || head == narrow || bytes_hold(view->tail, view->tail_length, "keras")
               ? 32
               : 0;
}

const struct format format_keras = {FORMAT, keras_bid, keras_scan};
