/* TensorFlow's SavedModel and GraphDef: operators that touch files, connect, or call back into Python.
 *
 * Facts: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, core/framework/{graph,function,node_def,attr_value,
 * tensor}.proto and the operators' registrations. A graph is a program; most operators compute. The ones below do more, in the
 * main graph as in every function of its library. Saving and restoring is done by such operators too: there the paths come
 * from outside, so that a saver's operator is of interest only when the graph itself says where to. */
#include "bytes.h"
#include "protobuf.h"

#include <string.h>

enum id {
    ID_NONE, ID_GRAPH, ID_FUNCTION, ID_FUNCTION_NAME, ID_NODE, ID_NAME, ID_OPERATOR, ID_INPUT,
    ID_ATTRIBUTE, ID_KEY, ID_STRING, ID_ASSET
};

#define MESSAGE(fields) {fields, sizeof(fields) / sizeof *(fields)}

static const struct protobuf_field tensor_fields[] = {{8, ID_STRING, WIRE_BYTES, NULL}};
static const struct protobuf_message tensor_message = MESSAGE(tensor_fields);

static const struct protobuf_field list_fields[] = {{2, ID_STRING, WIRE_BYTES, NULL}, {8, ID_NONE, WIRE_BYTES, &tensor_message}};
static const struct protobuf_message list_message = MESSAGE(list_fields);

static const struct protobuf_field value_fields[] = {
    {1, ID_NONE, WIRE_BYTES, &list_message},
    {2, ID_STRING, WIRE_BYTES, NULL},
    {8, ID_NONE, WIRE_BYTES, &tensor_message},
};
static const struct protobuf_message value_message = MESSAGE(value_fields);

static const struct protobuf_field attribute_fields[] = {
    {1, ID_KEY, WIRE_BYTES, NULL},
    {2, ID_NONE, WIRE_BYTES, &value_message},
};
static const struct protobuf_message attribute_message = MESSAGE(attribute_fields);

static const struct protobuf_field node_fields[] = {
    {1, ID_NAME, WIRE_BYTES, NULL},
    {2, ID_OPERATOR, WIRE_BYTES, NULL},
    {3, ID_INPUT, WIRE_BYTES, NULL},
    {5, ID_ATTRIBUTE, WIRE_BYTES, &attribute_message},
};
static const struct protobuf_message node_message = MESSAGE(node_fields);

static const struct protobuf_field signature_fields[] = {{1, ID_FUNCTION_NAME, WIRE_BYTES, NULL}};
static const struct protobuf_message signature_message = MESSAGE(signature_fields);

static const struct protobuf_field function_fields[] = {
    {1, ID_NONE, WIRE_BYTES, &signature_message},
    {3, ID_NODE, WIRE_BYTES, &node_message},
};
static const struct protobuf_message function_message = MESSAGE(function_fields);

static const struct protobuf_field library_fields[] = {{1, ID_FUNCTION, WIRE_BYTES, &function_message}};
static const struct protobuf_message library_message = MESSAGE(library_fields);

static const struct protobuf_field graph_fields[] = {
    {1, ID_NODE, WIRE_BYTES, &node_message},
    {2, ID_NONE, WIRE_BYTES, &library_message},
};
static const struct protobuf_message graph_message = MESSAGE(graph_fields);

static const struct protobuf_field asset_fields[] = {{2, ID_ASSET, WIRE_BYTES, NULL}};
static const struct protobuf_message asset_message = MESSAGE(asset_fields);

static const struct protobuf_field meta_fields[] = {
    {2, ID_GRAPH, WIRE_BYTES, &graph_message},
    {6, ID_NONE, WIRE_BYTES, &asset_message},
};
static const struct protobuf_message meta_message = MESSAGE(meta_fields);

static const struct protobuf_field saved_fields[] = {{2, ID_NONE, WIRE_BYTES, &meta_message}};
static const struct protobuf_message saved_message = MESSAGE(saved_fields);

/* --- Operators -------------------------------------------------------------------------------------------------------- */

#define NO_INPUT 2u /* of those that are kept: it comes through a queue, or from further inputs */

static const struct operator {
    const char *name;
    enum effect_kind kind;
    const char *token; /* of CODE */
    unsigned input;    /* that is the path or address */
    enum { ALWAYS, SAVER, TOLD } when; /* SAVER: what every SavedModel has for its own variables; TOLD: of interest only
                                          when the graph itself says where, because assets come from outside */
} operators[] = {
#define OPERATOR(name, kind, token, input, when) {#name, kind, token, input, when},
#include "graph_operators.def"
#undef OPERATOR
};

/* Attributes by which an operator is told a file. */
static const struct {
    const char *operator, *key; /* NULL: any operator */
    enum effect_kind kind;
    const char *marked;         /* only texts that begin so */
} attributes[] = {
    {"PrintV2", "output_stream", EFFECT_WRITE, "file://"},
    {NULL, "debug_urls", EFFECT_WRITE, "file://"},
    {NULL, "debug_urls", EFFECT_CONNECT, "grpc://"},
    {"ImmutableConst", "memory_region_name", EFFECT_READ, ""},
    {"DecodeProtoV2", "descriptor_source", EFFECT_READ, "/"},
    {"EncodeProto", "descriptor_source", EFFECT_READ, "/"},
};

/* --- The walk --------------------------------------------------------------------------------------------------------- */

#define NAME_SIZE 128u
#define NESTED_MIN 24u /* bytes of the shortest graph with two operators */

/* A node, as far as it is of interest. */
struct node {
    char name[NAME_SIZE], operator[48], inputs[2][NAME_SIZE], key[32];
    unsigned input_count;
    char text[LIMIT_ARGUMENT_TEXT]; /* the first text in its "value", which is that of a constant */
    bool text_there;
    char late[LIMIT_ARGUMENT_TEXT]; /* a text that came before the key of its attribute */
    uint64_t late_offset;
    uint64_t offset;
};

/* A constant text, or a node that hands on another's output. */
struct known {
    char name[NAME_SIZE], from[NAME_SIZE];
    char text[LIMIT_ARGUMENT_TEXT];
};

/* An operator that waits for the end of its graph, since constants may come behind it. */
struct waiting {
    const struct operator *operator;
    char name[NAME_SIZE], input[NAME_SIZE];
    uint64_t offset;
};

struct graph {
    struct scan *scan;
    const struct source *source;
    const char *format;
    unsigned nested; /* graphs and models in texts so far */
    struct protobuf protobuf;
    struct node node;
    char function[NAME_SIZE];
    struct known known[LIMIT_GRAPH_NAMES];
    struct waiting waiting[LIMIT_GRAPH_NAMES];
    size_t known_count, waiting_count;
};

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void text_keep(const struct protobuf *protobuf, char *to, size_t size)
{
    size_t length = protobuf->text_length < size - 1 ? protobuf->text_length : size - 1;
    memcpy(to, protobuf->text, length);
    to[length] = '\0';
}

static void report(struct graph *graph, enum effect_kind kind, const char *name, const char *operator, const char *field,
                   uint64_t offset)
{
    struct argument argument = {.kind = ARGUMENT_STRING, .text = operator};
    struct effect effect = {.kind = kind, .name = name, .arguments = &argument, .argument_count = 1, .argument_known = true,
                            .field = field[0] ? field : NULL, .offset = offset,
                            .detail = "an operator of the graph does this when it runs"};
    scan_report(graph->scan, graph->format, &effect);
}

/* "name", "name:0" in graphs and "name:output:0" in functions name the node before the colon. */
static bool names_node(const char *input, const char *name)
{
    size_t length = strcspn(input, ":");
    return strlen(name) == length && memcmp(input, name, length) == 0;
}

/* The constant that `input` is, or NULL. */
static const char *input_resolve(const struct graph *graph, const char *input)
{
    for (unsigned hops = 0; hops < 8; hops++) {
        const struct known *found = NULL;
        for (size_t i = 0; i < graph->known_count && !found; i++)
            if (names_node(input, graph->known[i].name))
                found = &graph->known[i];
        if (!found)
            return NULL;
        if (found->from[0] == '\0')
            return found->text;
        input = found->from;
    }
    return NULL;
}

static bool elsewhere(const char *path)
{
    return path_leaves(path) || strstr(path, "://");
}

/* Savers' names as TensorFlow gives them: "save/SaveV2", "save_1/RestoreV2", functions "__inference__traced_save_123". */
static bool named_saver(const struct graph *graph, const char *node)
{
    return starts(graph->function, "__inference__traced_save") || starts(graph->function, "__inference__traced_restore") ||
           (graph->function[0] == '\0' && (starts(node, "save/") || starts(node, "save_")));
}

static void operator_judge(struct graph *graph, const struct waiting *waiting)
{
    const struct operator *operator = waiting->operator;
    const char *path = input_resolve(graph, waiting->input);
    if (operator->kind == EFFECT_CODE) {
        report(graph, EFFECT_CODE, operator->token, operator->name, waiting->name, waiting->offset);
        return;
    }
    if (operator->when == TOLD && !(path && path[0]))
        return;
    if (operator->when == SAVER && named_saver(graph, waiting->name) && !(path && elsewhere(path)))
        return;
    report(graph, operator->kind, path && path[0] ? path : "(computed)", operator->name, waiting->name, waiting->offset);
}

/* A graph, or a function, is complete. */
static void scope_end(struct graph *graph)
{
    for (size_t i = 0; i < graph->waiting_count && !graph->scan->stopped; i++)
        operator_judge(graph, &graph->waiting[i]);
    graph->waiting_count = graph->known_count = 0;
    graph->function[0] = '\0';
}

static void known_add(struct graph *graph, const struct node *node, bool constant)
{
    /* Without room the oldest goes: paths are mostly next to what uses them. */
    if (graph->known_count == LIMIT_GRAPH_NAMES)
        memmove(graph->known, graph->known + 1, --graph->known_count * sizeof *graph->known);
    struct known *known = &graph->known[graph->known_count++];
    *known = (struct known){0};
    memcpy(known->name, node->name, sizeof known->name);
    if (constant)
        memcpy(known->text, node->text, sizeof known->text);
    else
        memcpy(known->from, node->inputs[0], sizeof known->from);
}

static void node_end(struct graph *graph)
{
    struct node *node = &graph->node;
    if (strcmp(node->operator, "Const") == 0 && node->text_there)
        known_add(graph, node, true);
    else if (starts(node->operator, "Identity") && node->input_count > 0)
        known_add(graph, node, false);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strcmp(node->operator, operators[i].name) != 0)
            continue;
        struct waiting waiting = {.operator = &operators[i], .offset = node->offset};
        memcpy(waiting.name, node->name, sizeof waiting.name);
        if (operators[i].input < NO_INPUT)
            memcpy(waiting.input, node->inputs[operators[i].input], sizeof waiting.input);
        if (graph->waiting_count == LIMIT_GRAPH_NAMES)
            operator_judge(graph, &waiting);
        else
            graph->waiting[graph->waiting_count++] = waiting;
    }
}

/* A text in the attribute whose key is known. */
static void attribute_judge(struct graph *graph, const char *text, uint64_t offset)
{
    struct node *node = &graph->node;
    if (strcmp(node->key, "value") == 0 && !node->text_there) {
        size_t length = strnlen(text, sizeof node->text - 1);
        memcpy(node->text, text, length);
        node->text[length] = '\0';
        node->text_there = true;
    }
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (strcmp(attributes[i].key, node->key) == 0 && starts(text, attributes[i].marked) && text[0] != '\0' &&
            /* The operator's name may still come. */
            (!attributes[i].operator || node->operator[0] == '\0' || strcmp(attributes[i].operator, node->operator) == 0))
            report(graph, attributes[i].kind, text, attributes[i].key, node->name, offset);
}

/* An attribute of a node begins or ends. */
static void attribute_bound(struct graph *graph, bool closed)
{
    struct node *node = &graph->node;
    if (closed && node->late_offset)
        attribute_judge(graph, node->late, node->late_offset);
    node->late_offset = 0;
    node->key[0] = '\0';
}

/* A text can be a graph once more, or another model, which some operator takes apart when it runs. Vocabularies have many
 * texts: only what bids by its start is read. */
static void string_nested(struct graph *graph)
{
    const struct protobuf *protobuf = &graph->protobuf;
    const unsigned char *start = (const unsigned char *)protobuf->text;
    struct arena_mark mark = arena_mark(graph->scan->arena);
    const char *outer = graph->scan->member;
    struct source_slice slice = {graph->source, protobuf->offset};
    if (protobuf->length < NESTED_MIN || graph->nested == LIMIT_GRAPH_NESTED ||
        !(scan_bid(start, protobuf->text_length, start, 0, protobuf->length) & SCAN_BID_CONTENT))
        return;
    struct source inside = source_from_slice(&slice, protobuf->length);
    graph->nested++;
    graph->scan->member = scan_member_inside(graph->scan, graph->node.name);
    (void)scan_nested(graph->scan, &inside, "string");
    graph->scan->member = outer;
    arena_release(graph->scan->arena, mark);
    if (graph->nested == LIMIT_GRAPH_NESTED)
        scan_opaque(graph->scan, graph->format, "tensorflow-strings", protobuf->offset, "more graphs in strings than are inspected");
}

static void string_read(struct graph *graph)
{
    struct node *node = &graph->node;
    string_nested(graph);
    if (node->key[0] != '\0') {
        attribute_judge(graph, graph->protobuf.text, graph->protobuf.offset);
        return;
    }
    text_keep(&graph->protobuf, node->late, sizeof node->late);
    node->late_offset = graph->protobuf.offset;
}

static void event_read(struct graph *graph, enum protobuf_event event)
{
    const struct protobuf *protobuf = &graph->protobuf;
    struct node *node = &graph->node;
    bool closed = event == PROTOBUF_CLOSE;
    switch ((enum id)protobuf->field->id) {
    case ID_GRAPH:
    case ID_FUNCTION:
        scope_end(graph);
        break;
    case ID_FUNCTION_NAME:
        text_keep(protobuf, graph->function, sizeof graph->function);
        break;
    case ID_NODE:
        if (closed)
            node_end(graph);
        *node = (struct node){.offset = protobuf->offset};
        break;
    case ID_NAME:
        text_keep(protobuf, node->name, sizeof node->name);
        break;
    case ID_OPERATOR:
        text_keep(protobuf, node->operator, sizeof node->operator);
        break;
    case ID_INPUT:
        if (node->input_count < 2)
            text_keep(protobuf, node->inputs[node->input_count++], NAME_SIZE);
        break;
    case ID_ATTRIBUTE:
        attribute_bound(graph, closed);
        break;
    case ID_KEY:
        text_keep(protobuf, node->key, sizeof node->key);
        break;
    case ID_STRING:
        string_read(graph);
        break;
    case ID_ASSET:
        if (elsewhere(protobuf->text))
            report(graph, EFFECT_READ, protobuf->text, "asset", "", protobuf->offset);
        break;
    case ID_NONE:
        break;
    }
}

static bool walk(struct scan *scan, const struct source *source, const char *format, const struct protobuf_message *message)
{
    struct graph *graph = arena_take(scan->arena, sizeof *graph);
    enum protobuf_event event = PROTOBUF_FAILED;
    if (!graph || !protobuf_open(&graph->protobuf, scan->arena, source, 0, source->size, message)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    graph->scan = scan;
    graph->source = source;
    graph->format = format;
    scan_is(scan, format);
    while (!scan->stopped) {
        event = protobuf_next(&graph->protobuf);
        if (event == PROTOBUF_FAILED || event == PROTOBUF_FINISHED)
            break;
        event_read(graph, event);
    }
    scope_end(graph);
    if (graph->protobuf.error == PROTOBUF_ERROR_IO)
        scan_failed(scan, SCAN_IO, graph->protobuf.reader.error);
    else if (graph->protobuf.error == PROTOBUF_ERROR_LIMIT)
        scan_opaque(scan, format, "tensorflow-size", graph->protobuf.reader.position, "a graph too large to be inspected");
    else if (event == PROTOBUF_FAILED && !scan->stopped)
        scan_malformed(scan, format, "tensorflow-damaged", graph->protobuf.reader.position, "no valid protobuf from here on");
    return true;
}

/* --- Bidding ---------------------------------------------------------------------------------------------------------- */

static const struct protobuf_shape info_shape = {1u << 2 | 1u << 3 | 1u << 8, 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6, 1u << 7};
static const struct protobuf_shape node_shape = {1u << 5 | 1u << 6 | 1u << 7, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4, 0};

static bool field_fits(const struct protobuf_view *field, unsigned number, uint64_t length)
{
    return field->number == number && field->wire == WIRE_BYTES && field->content <= length &&
           field->length <= length - field->content;
}

static size_t field_seen(const struct protobuf_view *field, size_t size)
{
    return field->length < size - field->content ? (size_t)field->length : size - field->content;
}

/* Evidence in the nodes that a graph begins with: each has a name and the name of an operator, in this order. */
static int nodes_evidence(const unsigned char *bytes, size_t size, uint64_t length)
{
    struct protobuf_view node, name, operator;
    int evidence = 0;
    for (size_t at = 0; evidence < 64 && protobuf_look(bytes, size, at, &node); at = node.content + (size_t)node.length) {
        if (!field_fits(&node, 1, length))
            return node.number == 1 ? -1 : evidence;
        const unsigned char *content = bytes + node.content;
        size_t seen = field_seen(&node, size);
        if (!protobuf_look(content, seen, 0, &name) || name.length > seen ||
            !protobuf_look(content, seen, name.content + (size_t)name.length, &operator) || operator.content >= seen)
            return evidence;
        char first = (char)content[operator.content];
        if (!field_fits(&name, 1, node.length) || !field_fits(&operator, 2, node.length) || operator.length > 100 ||
            !((first >= 'A' && first <= 'Z') || first == '_') || protobuf_evidence(&node_shape, content, seen, node.length) < 0)
            return -1;
        evidence += 16;
        if (node.length > size - node.content)
            break;
    }
    return evidence;
}

static unsigned graph_bid(const struct bid_view *view)
{
    int evidence = nodes_evidence(view->head, view->head_length, view->size);
    return evidence >= 32 ? (unsigned)evidence : 0;
}

/* Version 1, then a MetaGraphDef of which the information about itself comes first, or the graph. */
static unsigned saved_model_bid(const struct bid_view *view)
{
    struct protobuf_view meta, field;
    if (view->head_length < 8 || view->head[0] != 8 || view->head[1] != 1 ||
        !protobuf_look(view->head, view->head_length, 2, &meta) || !field_fits(&meta, 2, view->size))
        return 0;
    const unsigned char *content = view->head + meta.content;
    size_t seen = field_seen(&meta, view->head_length);
    if (!protobuf_look(content, seen, 0, &field))
        return 0;
    if (field_fits(&field, 1, meta.length)) {
        struct protobuf_view next;
        int evidence = protobuf_evidence(&info_shape, content + field.content, field_seen(&field, seen), field.length);
        /* Core ML begins alike, with a name where this has information; there more of the same follows. */
        if (field.length < seen - field.content &&
            protobuf_look(content, seen, field.content + (size_t)field.length, &next) && (next.number < 2 || next.number > 7))
            return 0;
        return evidence >= 4 ? 24 + (unsigned)evidence : 0;
    }
    if (!field_fits(&field, 2, meta.length))
        return 0;
    int evidence = nodes_evidence(content + field.content, field_seen(&field, seen), field.length);
    return evidence >= 16 ? 24 + (unsigned)evidence : 0;
}

static bool saved_model_run(struct scan *scan, const struct source *source)
{
    return walk(scan, source, "saved-model", &saved_message);
}

static bool graph_run(struct scan *scan, const struct source *source)
{
    return walk(scan, source, "tensorflow-graph", &graph_message);
}

const struct format format_saved_model = {"saved-model", saved_model_bid, saved_model_run};
const struct format format_tensorflow_graph = {"tensorflow-graph", graph_bid, graph_run};
