/* TensorFlow's SavedModel and GraphDef: operators that touch files, connect, or call back into Python.
 *
 * Facts: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, core/framework/{graph,function,node_def,
 * attr_value,tensor}.proto and the operators' registrations. A graph is a program; most operators compute. Those of
 * graph_operators.def do more, in the main graph as in every function of its library. Saving and restoring is done by
 * such operators too: there the paths come from outside, so that a saver's operator is of interest only when the graph
 * itself says where to. */
#include "tensorflow.h"

enum id {
    ID_NONE, ID_GRAPH, ID_FUNCTION, ID_FUNCTION_NAME, ID_NODE, ID_NAME, ID_OPERATOR, ID_INPUT,
    ID_ATTRIBUTE, ID_CALLED, ID_KEY, ID_STRING, ID_META, ID_ASSET, ID_ASSET_TENSOR,
    ID_ASSET_NAME
};

#define MESSAGE(fields) {fields, sizeof(fields) / sizeof *(fields)}

static const struct protobuf_field tensor_fields[] = {{8, ID_STRING, WIRE_BYTES, NULL}};
static const struct protobuf_message tensor_message = MESSAGE(tensor_fields);

static const struct protobuf_field called_fields[] = {{1, ID_CALLED, WIRE_BYTES, NULL}};
static const struct protobuf_message called_message = MESSAGE(called_fields);

static const struct protobuf_field list_fields[] = {
    {2, ID_STRING, WIRE_BYTES, NULL},
    {8, ID_NONE, WIRE_BYTES, &tensor_message},
    {9, ID_NONE, WIRE_BYTES, &called_message},
};
static const struct protobuf_message list_message = MESSAGE(list_fields);

static const struct protobuf_field value_fields[] = {
    {1, ID_NONE, WIRE_BYTES, &list_message},
    {2, ID_STRING, WIRE_BYTES, NULL},
    {8, ID_NONE, WIRE_BYTES, &tensor_message},
    {10, ID_NONE, WIRE_BYTES, &called_message},
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

static const struct protobuf_field tensor_info_fields[] = {{1, ID_ASSET_TENSOR, WIRE_BYTES, NULL}};
static const struct protobuf_message tensor_info_message = MESSAGE(tensor_info_fields);

static const struct protobuf_field asset_fields[] = {
    {1, ID_NONE, WIRE_BYTES, &tensor_info_message},
    {2, ID_ASSET_NAME, WIRE_BYTES, NULL},
};
static const struct protobuf_message asset_message = MESSAGE(asset_fields);

/* TensorFlow 1 keeps them in a collection, of which the values are any messages. */
static const struct protobuf_field any_fields[] = {{2, ID_ASSET, WIRE_BYTES, &asset_message}};
static const struct protobuf_message any_message = MESSAGE(any_fields);
static const struct protobuf_field any_list_fields[] = {{1, ID_NONE, WIRE_BYTES, &any_message}};
static const struct protobuf_message any_list_message = MESSAGE(any_list_fields);
static const struct protobuf_field collection_fields[] = {{5, ID_NONE, WIRE_BYTES, &any_list_message}};
static const struct protobuf_message collection_message = MESSAGE(collection_fields);
static const struct protobuf_field entry_fields[] = {{2, ID_NONE, WIRE_BYTES, &collection_message}};
static const struct protobuf_message entry_message = MESSAGE(entry_fields);

static const struct protobuf_field meta_fields[] = {
    {2, ID_GRAPH, WIRE_BYTES, &graph_message},
    {4, ID_NONE, WIRE_BYTES, &entry_message},
    {6, ID_ASSET, WIRE_BYTES, &asset_message},
};
static const struct protobuf_message meta_message = MESSAGE(meta_fields);

static const struct protobuf_field saved_fields[] = {{2, ID_META, WIRE_BYTES, &meta_message}};
static const struct protobuf_message saved_message = MESSAGE(saved_fields);

#define NESTED_MIN 24u /* bytes of the shortest graph with two operators */

static void text_keep(const struct protobuf *protobuf, char *to, size_t size)
{
    size_t length = protobuf->text_length < size - 1 ? protobuf->text_length : size - 1;
    memcpy(to, protobuf->text, length);
    to[length] = '\0';
}

/* An attribute of a node begins or ends. */
static void attribute_bound(struct graph *graph, bool closed)
{
    struct node *node = &graph->node;
    if (closed && node->late_offset)
        graph_attribute(graph, node->late, node->late_offset);
    node->late_offset = 0;
    node->key[0] = '\0';
}

/* A text can be a graph once more, or another model, which some operator takes apart when it runs. Vocabularies have
 * many texts: only what bids by its start is read. */
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
        scan_opaque(graph->scan, graph->format, "tensorflow-strings", protobuf->offset,
                    "more graphs in strings than are inspected");
}

static void string_read(struct graph *graph)
{
    struct node *node = &graph->node;
    string_nested(graph);
    if (node->key[0] != '\0') {
        graph_attribute(graph, graph->protobuf.text, graph->protobuf.offset);
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
        graph_scope_end(graph);
        graph->in_function = !closed && protobuf->field->id == ID_FUNCTION;
        break;
    case ID_FUNCTION_NAME:
        text_keep(protobuf, graph->function, sizeof graph->function);
        break;
    case ID_NODE:
        if (closed)
            graph_node_end(graph);
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
    case ID_CALLED:
        graph_function_named(graph, protobuf->text);
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
    case ID_META:
        if (closed)
            graph_files_end(graph);
        break;
    case ID_ASSET:
        if (!closed)
            graph_asset_begin(graph);
        break;
    case ID_ASSET_TENSOR:
        graph_asset_tensor(graph, protobuf->text);
        break;
    case ID_ASSET_NAME:
        graph_asset_name(graph, protobuf->text, protobuf->offset);
        break;
    case ID_NONE:
        break;
    }
}

static bool walk(struct scan *scan, const struct source *source, const char *format,
                 const struct protobuf_message *message)
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
    graph_scope_end(graph);
    graph_files_end(graph);
    if (graph->protobuf.error == PROTOBUF_ERROR_IO)
        scan_failed(scan, SCAN_IO, graph->protobuf.reader.error);
    else if (graph->protobuf.error == PROTOBUF_ERROR_LIMIT)
        scan_opaque(scan, format, "tensorflow-size", graph->protobuf.reader.position,
                    "a graph too large to be inspected");
    else if (event == PROTOBUF_FAILED && !scan->stopped)
        scan_malformed(scan, format, "tensorflow-damaged", graph->protobuf.reader.position,
                       "no valid protobuf from here on");
    return true;
}

static bool saved_model_run(struct scan *scan, const struct source *source)
{
    return walk(scan, source, "saved-model", &saved_message);
}

static bool graph_run(struct scan *scan, const struct source *source)
{
    return walk(scan, source, "tensorflow-graph", &graph_message);
}

static bool meta_graph_run(struct scan *scan, const struct source *source)
{
    return walk(scan, source, "tensorflow-graph", &meta_message);
}

const struct format format_saved_model = {"saved-model", saved_model_bid, saved_model_run};
const struct format format_tensorflow_graph = {"tensorflow-graph", graph_bid, graph_run};
const struct format format_tensorflow_meta = {"tensorflow-graph", meta_graph_bid, meta_graph_run};

bool scan_named(const char *path)
{
    static const char *const names[] = {"saved_model.pb", "saved_model.pbtxt"};
    const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name && strcmp(name, names[i]) == 0)
            return true;
    return false;
}

bool saved_model_named(struct scan *scan, const struct source *source)
{
    const char *path = scan->request->path;
    unsigned char head[64];
    struct protobuf_view field;
    ssize_t got = source_read(source, head, sizeof head, 0);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    if (got <= 0)
        return false;
    if (path[strlen(path) - 1] == 't') {
        scan_is(scan, "saved-model");
        scan_opaque(scan, "saved-model", "tensorflow-text", 0, "a SavedModel as text, which is not inspected");
        return true;
    }
    return protobuf_look(head, (size_t)got, 0, &field) && saved_model_run(scan, source);
}
