/* skops: scikit-learn models as a zip of arrays and a schema.json that names every class. The schema is what is read
 * here, wherever it stands.
 *
 * Facts: skops/io/_general.py, _numpy.py, _sklearn.py: each node is an object with "__class__", "__module__" and
 * "__loader__". ObjectNode makes an instance without calling the class; FunctionNode and TypeNode hand out the function
 * or class itself; JsonNode is data; all others call what they name, lists and dictionaries included. skops asks before
 * it does so, and callers can answer yes to everything. */
#include "bytes.h"
#include "json.h"

#include <string.h>

#define FORMAT "skops"

#define NAME_SIZE 256u /* longest module or class kept; Python's longest dotted names are under 200 */

enum key { KEY_OTHER, KEY_CLASS, KEY_MODULE, KEY_LOADER };

struct node {
    enum key key; /* of the value that comes next */
    char class[NAME_SIZE], module[NAME_SIZE], loader[32];
    uint64_t offset;
};

struct skops {
    struct scan *scan;
    struct json json;
    struct node *nodes; /* by depth */
};

static void node_judge(struct skops *skops, const struct node *node)
{
    char name[2 * NAME_SIZE + 2], field[LIMIT_FIELD];
    struct effect effect = {.kind = EFFECT_CALL, .name = name, .offset = node->offset};
    size_t length = strlen(node->module);
    if (length == 0 || node->class[0] == '\0' || node->loader[0] == '\0' || strcmp(node->loader, "JsonNode") == 0)
        return;
    /* What numpy reads is such an array already; other classes are called with it. */
    if (strcmp(node->loader, "NdArrayNode") == 0 && strcmp(node->module, "numpy") == 0 &&
        strcmp(node->class, "ndarray") == 0)
        return;
    if (strcmp(node->loader, "ObjectNode") == 0)
        effect.kind = EFFECT_CREATE;
    else if (strcmp(node->loader, "FunctionNode") == 0 || strcmp(node->loader, "TypeNode") == 0)
        effect.kind = EFFECT_IMPORT;
    memcpy(name, node->module, length);
    name[length++] = strchr(node->class, '.') ? ':' : '.';
    memcpy(name + length, node->class, strlen(node->class) + 1);
    if (json_path(&skops->json, field, sizeof field) > 0)
        effect.field = field;
    scan_report(skops->scan, FORMAT, &effect);
}

static enum key key_find(const struct json *json)
{
    static const struct {
        const char *name;
        enum key key;
    } keys[] = {
        {"__class__", KEY_CLASS}, {"__module__", KEY_MODULE}, {"__loader__", KEY_LOADER},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_text_is(json, keys[i].name))
            return keys[i].key;
    return KEY_OTHER;
}

static void text_keep(const struct json *json, char *to, size_t size)
{
    size_t length = json->text_length < size - 1 ? json->text_length : size - 1;
    memcpy(to, json->text, length);
    to[length] = '\0';
}

static void event_read(struct skops *skops, enum json_event event)
{
    struct json *json = &skops->json;
    struct node *node = &skops->nodes[json->depth];
    switch (event) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        memset(node, 0, sizeof *node);
        node->offset = json->offset;
        break;
    case JSON_OBJECT_END:
        node_judge(skops, node + 1);
        break;
    case JSON_KEY:
        node->key = json->cut ? KEY_OTHER : key_find(json);
        break;
    case JSON_STRING:
        if (node->key == KEY_CLASS)
            text_keep(json, node->class, sizeof node->class);
        else if (node->key == KEY_MODULE)
            text_keep(json, node->module, sizeof node->module);
        else if (node->key == KEY_LOADER)
            text_keep(json, node->loader, sizeof node->loader);
        break;
    default:
        break;
    }
}

static bool skops_run(struct scan *scan, const struct source *source)
{
    struct skops *skops = arena_take(scan->arena, sizeof *skops);
    enum json_event event;
    if (skops)
        skops->nodes = arena_take(scan->arena, (LIMIT_JSON_DEPTH + 2) * sizeof *skops->nodes);
    if (!skops || !skops->nodes || !json_open(&skops->json, scan->arena, source)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    skops->scan = scan;
    scan_is(scan, FORMAT);
    for (event = json_next(&skops->json); event != JSON_FAILED && event != JSON_FINISHED && !scan->stopped;
         event = json_next(&skops->json))
        event_read(skops, event);
    if (skops->json.error == JSON_ERROR_IO)
        scan_failed(scan, SCAN_IO, skops->json.reader.error);
    else if (skops->json.error == JSON_ERROR_DEPTH)
        scan_malformed(scan, FORMAT, "json-depth", skops->json.offset, "nested deeper than readers agree to follow");
    return true;
}

/* An object with the three keys that every node has, and no other format. */
static unsigned skops_bid(const struct bid_view *view)
{
    static const char *const keys[] = {"\"__class__\"", "\"__module__\"", "\"__loader__\""};
    unsigned char narrow[SCAN_HEAD];
    size_t length;
    const unsigned char *head = json_head(view, narrow, &length);
    size_t at = bytes_blank(head, length);
    if (at == length || head[at] != '{')
        return 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!bytes_hold(head, length, keys[i]))
            return 0;
    return 32;
}

const struct format format_skops = {FORMAT, skops_bid, skops_run};
