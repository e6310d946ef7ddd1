/* Which operators of a TensorFlow graph do more than compute, and on which file. A path is a constant, or worked out when
 * the graph runs. */
#include "tensorflow.h"

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

void graph_report(struct graph *graph, enum effect_kind kind, const char *name, const char *operator, const char *field,
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

bool graph_elsewhere(const char *path)
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
        graph_report(graph, EFFECT_CODE, operator->token, operator->name, waiting->name, waiting->offset);
        return;
    }
    if (operator->when == TOLD && !(path && path[0]))
        return;
    if (operator->when == SAVER && named_saver(graph, waiting->name) && !(path && graph_elsewhere(path)))
        return;
    graph_report(graph, operator->kind, path && path[0] ? path : "(computed)", operator->name, waiting->name, waiting->offset);
}

/* A graph, or a function, is complete. */
void graph_scope_end(struct graph *graph)
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

void graph_node_end(struct graph *graph)
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
void graph_attribute(struct graph *graph, const char *text, uint64_t offset)
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
            graph_report(graph, attributes[i].kind, text, attributes[i].key, node->name, offset);
}

