/* ONNX: which files its tensors are read from, and which operators come from nowhere that is known.
 *
 * Facts: onnx.proto (field numbers), onnx/external_data_helper.py and onnxruntime's tensorprotoutils.cc: external data
 * are opened at "location", relative to the model; absolute paths and "..", refused by newer releases, read any file.
 * An operator of a domain that neither ONNX nor onnxruntime owns, and that the file does not define as a function, is
 * native code which the program has to register. */
#include "bytes.h"
#include "name_set.h"
#include "onnx_bid.h"
#include "protobuf.h"

#include <string.h>

#define FORMAT "onnx"

enum onnx_id {
    ID_NONE, ID_IR_VERSION, ID_OPSET, ID_GRAPH, ID_FUNCTION, ID_FUNCTION_NAME, ID_FUNCTION_DOMAIN, ID_NODE,
    ID_NODE_TYPE, ID_NODE_DOMAIN, ID_EXTERNAL, ID_EXTERNAL_KEY, ID_EXTERNAL_VALUE
};

#define MESSAGE(fields) {fields, sizeof(fields) / sizeof *(fields)}

static const struct protobuf_message graph_message, tensor_message, sparse_message;

static const struct protobuf_field external_fields[] = {
    {1, ID_EXTERNAL_KEY, WIRE_BYTES, NULL},
    {2, ID_EXTERNAL_VALUE, WIRE_BYTES, NULL},
};
static const struct protobuf_message external_message = MESSAGE(external_fields);

static const struct protobuf_field tensor_fields[] = {{13, ID_EXTERNAL, WIRE_BYTES, &external_message}};
static const struct protobuf_message tensor_message = MESSAGE(tensor_fields);

static const struct protobuf_field sparse_fields[] = {
    {1, ID_NONE, WIRE_BYTES, &tensor_message}, /* values */
    {2, ID_NONE, WIRE_BYTES, &tensor_message}, /* indices */
};
static const struct protobuf_message sparse_message = MESSAGE(sparse_fields);

static const struct protobuf_field attribute_fields[] = {
    {5, ID_NONE, WIRE_BYTES, &tensor_message},   /* t */
    {6, ID_GRAPH, WIRE_BYTES, &graph_message},   /* g */
    {10, ID_NONE, WIRE_BYTES, &tensor_message},  /* tensors */
    {11, ID_GRAPH, WIRE_BYTES, &graph_message},  /* graphs */
    {22, ID_NONE, WIRE_BYTES, &sparse_message},  /* sparse_tensor */
    {23, ID_NONE, WIRE_BYTES, &sparse_message},  /* sparse_tensors */
};
static const struct protobuf_message attribute_message = MESSAGE(attribute_fields);

static const struct protobuf_field node_fields[] = {
    {4, ID_NODE_TYPE, WIRE_BYTES, NULL},
    {7, ID_NODE_DOMAIN, WIRE_BYTES, NULL},
    {5, ID_NONE, WIRE_BYTES, &attribute_message},
};
static const struct protobuf_message node_message = MESSAGE(node_fields);

static const struct protobuf_field graph_fields[] = {
    {1, ID_NODE, WIRE_BYTES, &node_message},
    {5, ID_NONE, WIRE_BYTES, &tensor_message},  /* initializer */
    {15, ID_NONE, WIRE_BYTES, &sparse_message}, /* sparse_initializer */
};
static const struct protobuf_message graph_message = MESSAGE(graph_fields);

static const struct protobuf_field training_fields[] = {
    {1, ID_GRAPH, WIRE_BYTES, &graph_message}, /* initialization */
    {2, ID_GRAPH, WIRE_BYTES, &graph_message}, /* algorithm */
};
static const struct protobuf_message training_message = MESSAGE(training_fields);

static const struct protobuf_field function_fields[] = {
    {7, ID_NODE, WIRE_BYTES, &node_message},
    {11, ID_NONE, WIRE_BYTES, &attribute_message}, /* attribute_proto */
};
static const struct protobuf_message function_message = MESSAGE(function_fields);

static const struct protobuf_field model_fields[] = {
    {7, ID_GRAPH, WIRE_BYTES, &graph_message},
    {20, ID_NONE, WIRE_BYTES, &training_message},
    {25, ID_NONE, WIRE_BYTES, &function_message},
};
static const struct protobuf_message model_message = MESSAGE(model_fields);

/* What is looked at first: whether it is a model at all, and its functions, which come after the graph that
 * uses them. */
static const struct protobuf_field named_fields[] = {
    {1, ID_FUNCTION_NAME, WIRE_BYTES, NULL},
    {10, ID_FUNCTION_DOMAIN, WIRE_BYTES, NULL},
};
static const struct protobuf_message named_message = MESSAGE(named_fields);

static const struct protobuf_field outline_fields[] = {
    {1, ID_IR_VERSION, WIRE_VARINT, NULL},
    {7, ID_GRAPH, WIRE_BYTES, NULL},
    {8, ID_OPSET, WIRE_BYTES, NULL},
    {25, ID_FUNCTION, WIRE_BYTES, &named_message},
};
static const struct protobuf_message outline_message = MESSAGE(outline_fields);

/* --- Names that were met ------------------------------------------------------------------------------------------ */

static uint64_t operator_hash(const char *domain, const char *name)
{
    uint64_t hash = name_hash(name_hash(NAME_HASH, domain, strlen(domain)), ":", 1);
    return name_hash(hash, name, strlen(name));
}

/* --- The walk ----------------------------------------------------------------------------------------------------- */

struct onnx {
    struct scan *scan;
    const struct source *source;
    struct protobuf protobuf;
    struct name_set functions, said; /* past the limit names are met as if for the first time */
    bool version, opset, graph;
    /* The nodes that are open, whose fields may come behind a graph inside them. */
    struct operator {
        char domain[256], name[256]; /* their starts */
    } operators[LIMIT_PROTOBUF_DEPTH + 1];
    unsigned open;
    char key[16], value[LIMIT_NAME + 8];               /* of the external_data entry at hand */
    bool value_cut;
    uint64_t last_location; /* hash of the file that was reported last */
};

static bool domain_known(const char *domain)
{
    static const char *const known[] = {"ai.onnx", "com.microsoft"};
    if (domain[0] == '\0')
        return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t length = strlen(known[i]);
        if (strncmp(domain, known[i], length) == 0 && (domain[length] == '\0' || domain[length] == '.'))
            return true;
    }
    return false;
}

static void node_judge(struct onnx *onnx)
{
    const struct operator *operator = &onnx->operators[onnx->open];
    char text[sizeof operator->domain + sizeof operator->name + 2];
    uint64_t hash = operator_hash(operator->domain, operator->name);
    if (domain_known(operator->domain))
        return;
    if (name_set_has(&onnx->functions, hash) || name_set_has(&onnx->said, hash))
        return;
    name_set_add(&onnx->said, hash);
    size_t length = strlen(operator->domain);
    memcpy(text, operator->domain, length);
    memcpy(text + length, "::", 2);
    memcpy(text + length + 2, operator->name, strlen(operator->name) + 1);
    struct argument argument = {.kind = ARGUMENT_STRING, .text = text};
    struct effect effect = {.kind = EFFECT_CODE, .name = "onnx-custom-domain", .arguments = &argument,
                            .argument_count = 1, .argument_known = true, .offset = onnx->protobuf.offset,
                            .detail = "an operator that native code outside ONNX has to provide"};
    scan_report(onnx->scan, FORMAT, &effect);
}

static void external_judge(struct onnx *onnx)
{
    struct effect effect = {.kind = EFFECT_READ, .name = onnx->value, .offset = onnx->protobuf.offset};
    if (strcmp(onnx->key, "location") != 0)
        return;
    if (strcmp(onnx->value, "*/_ORT_MEM_ADDR_/*") == 0) {
        scan_malformed(onnx->scan, FORMAT, "onnx-memory-address", onnx->protobuf.offset,
                       "a tensor that onnxruntime would take from an address in memory");
        return;
    }
    if (onnx->value_cut)
        effect.detail = "a path too long to be one";
    else if (path_leaves(onnx->value))
        effect.detail = "a tensor's data are read from outside the model's folder";
    uint64_t hash = name_hash(NAME_HASH, onnx->value, strlen(onnx->value));
    if (hash == onnx->last_location)
        return; /* a thousand tensors share a file */
    onnx->last_location = hash;
    scan_report(onnx->scan, FORMAT, &effect);
}

static void text_keep(const struct protobuf *protobuf, char *to, size_t size)
{
    size_t length = protobuf->text_length < size - 1 ? protobuf->text_length : size - 1;
    memcpy(to, protobuf->text, length);
    to[length] = '\0';
    /* A zero byte is part of the text for who reads it; it must not end it here. */
    for (char *zero = memchr(to, 0, length); zero; zero = memchr(zero, 0, length - (size_t)(zero - to)))
        *zero = '\1';
}

/* A node or function begins or ends. */
static void operator_bound(struct onnx *onnx, bool closed, bool node)
{
    struct operator *operator = &onnx->operators[closed ? onnx->open : ++onnx->open];
    if (!closed) {
        operator->domain[0] = operator->name[0] = '\0';
        return;
    }
    if (node)
        node_judge(onnx);
    else
        name_set_add(&onnx->functions, operator_hash(operator->domain, operator->name));
    onnx->open--;
}

static void event_read(struct onnx *onnx, enum protobuf_event event)
{
    const struct protobuf *protobuf = &onnx->protobuf;
    struct operator *operator = &onnx->operators[onnx->open];
    bool closed = event == PROTOBUF_CLOSE;
    switch ((enum onnx_id)protobuf->field->id) {
    case ID_IR_VERSION:
        onnx->version = true;
        break;
    case ID_OPSET:
        onnx->opset = true;
        break;
    case ID_GRAPH:
        onnx->graph = true;
        break;
    case ID_NODE:
    case ID_FUNCTION:
        operator_bound(onnx, closed, protobuf->field->id == ID_NODE);
        break;
    case ID_FUNCTION_NAME:
    case ID_NODE_TYPE:
        text_keep(protobuf, operator->name, sizeof operator->name);
        break;
    case ID_FUNCTION_DOMAIN:
    case ID_NODE_DOMAIN:
        text_keep(protobuf, operator->domain, sizeof operator->domain);
        break;
    case ID_EXTERNAL:
        if (closed)
            external_judge(onnx);
        onnx->key[0] = onnx->value[0] = '\0';
        onnx->value_cut = false;
        break;
    case ID_EXTERNAL_KEY:
        text_keep(protobuf, onnx->key, sizeof onnx->key);
        break;
    case ID_EXTERNAL_VALUE:
        text_keep(protobuf, onnx->value, sizeof onnx->value);
        onnx->value_cut = protobuf->cut;
        break;
    case ID_NONE:
        break;
    }
}

/* Walks the whole file. Returns the last event: PROTOBUF_FINISHED, PROTOBUF_FAILED, or another one when the scan
 * stopped. */
static enum protobuf_event walk(struct onnx *onnx, const struct protobuf_message *message)
{
    enum protobuf_event event = PROTOBUF_FAILED;
    struct arena_mark mark = arena_mark(onnx->scan->arena);
    if (!protobuf_open(&onnx->protobuf, onnx->scan->arena, onnx->source, 0, onnx->source->size, message)) {
        scan_failed(onnx->scan, SCAN_MEMORY, 0);
        return event;
    }
    onnx->open = 0;
    while (!onnx->scan->stopped) {
        event = protobuf_next(&onnx->protobuf);
        if (event == PROTOBUF_FAILED || event == PROTOBUF_FINISHED)
            break;
        event_read(onnx, event);
    }
    if (onnx->protobuf.error == PROTOBUF_ERROR_IO)
        scan_failed(onnx->scan, SCAN_IO, onnx->protobuf.reader.error);
    arena_release(onnx->scan->arena, mark);
    return event;
}

static void failure_say(const struct onnx *onnx)
{
    if (onnx->protobuf.error == PROTOBUF_ERROR_LIMIT)
        scan_opaque(onnx->scan, FORMAT, "onnx-size", onnx->protobuf.reader.position,
                    "a graph too large to be inspected");
    else
        scan_malformed(onnx->scan, FORMAT, "onnx-damaged", onnx->protobuf.reader.position,
                       "no valid protobuf from here on");
}

static bool onnx_run(struct scan *scan, const struct source *source)
{
    struct onnx *onnx = arena_take(scan->arena, sizeof *onnx);
    enum protobuf_event event;
    if (!onnx || !name_set_open(&onnx->functions, scan->arena, LIMIT_ONNX_NAMES) ||
        !name_set_open(&onnx->said, scan->arena, LIMIT_ONNX_NAMES)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    onnx->scan = scan;
    onnx->source = source;
    event = walk(onnx, &outline_message);
    if (scan->stopped)
        return true;
    if (event == PROTOBUF_FAILED && onnx->protobuf.field && onnx->protobuf.field->id == ID_GRAPH)
        onnx->graph = true;
    /* Of a file that breaks off, more must speak for its being one. */
    if (!onnx->graph || !(event == PROTOBUF_FINISHED ? onnx->version || onnx->opset : onnx->version))
        return false;
    scan_is(scan, FORMAT);
    if (event == PROTOBUF_FINISHED)
        event = walk(onnx, &model_message);
    if (event == PROTOBUF_FAILED && !scan->stopped)
        failure_say(onnx);
    return true;
}

const struct format format_onnx = {FORMAT, onnx_bid, onnx_run};
