/* Which operators of a TensorFlow graph do more than compute, and on which file. A path is a constant, or worked out
 * when the graph runs. */
#include "tensorflow.h"

#define SAVER_FUNCTION "__inference__traced_save"

#define NO_INPUT 2u /* of those that are kept: it comes through a queue, or from further inputs */

static const struct operator {
    const char *name;
    enum effect_kind kind;
    const char *token; /* of CODE */
    unsigned input;    /* that is the path or address */
    /* SAVER: what every SavedModel has for its own variables; TOLD: of interest only when the graph itself says where,
     * because assets come from outside; CALL: of a saver's function */
    enum { ALWAYS, SAVER, TOLD, CALL } when;
} operators[] = {
#define OPERATOR(name, kind, token, input, when) {#name, kind, token, input, when},
#include "graph_operators.def"
#undef OPERATOR
};

static const struct operator saver_called = {"SaveV2", EFFECT_WRITE, NULL, 0, CALL};

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
    {"RecordInput", "file_pattern", EFFECT_READ, ""},
    {"Skipgram", "filename", EFFECT_READ, ""},
    {"FixedUnigramCandidateSampler", "vocab_file", EFFECT_READ, ""},
    {"CalibrationStatisticsSaver", "output_file_path", EFFECT_WRITE, ""},
    {"DumpTensor", "log_dir_path", EFFECT_WRITE, ""},
    {"DecodeProtoV2", "descriptor_source", EFFECT_READ, "/"},
    {"EncodeProto", "descriptor_source", EFFECT_READ, "/"},
};

void graph_report(struct graph *graph, enum effect_kind kind, const char *name, const char *operator, const char *field,
                   uint64_t offset)
{
    struct argument argument = {.kind = ARGUMENT_STRING, .text = operator};
    struct effect effect = {.kind = kind, .name = name, .arguments = &argument, .argument_count = 1,
                            .argument_known = true, .field = field[0] ? field : NULL, .offset = offset,
                            .detail = "an operator of the graph does this when it runs"};
    scan_report(graph->scan, graph->format, &effect);
}

/* "name", "name:0" in graphs and "name:output:0" in functions name the node before the colon. */
static bool names_node(const char *input, const char *name)
{
    size_t length = strcspn(input, ":");
    return strlen(name) == length && memcmp(input, name, length) == 0;
}

#define HOPS 8u /* from an operator to where its path comes from; real ones take four */

static const struct known *known_find(const struct graph *graph, const char *input)
{
    for (size_t i = 0; i < graph->known_count; i++)
        if (names_node(input, graph->known[i].name))
            return &graph->known[i];
    return NULL;
}

/* The constant that `input` is, or NULL. */
static const char *input_resolve(const struct graph *graph, const char *input)
{
    for (unsigned hops = 0; hops < HOPS; hops++) {
        const struct known *found = known_find(graph, input);
        if (!found || found->kind == KNOWN_FED || found->kind == KNOWN_JOINED)
            return NULL;
        if (found->kind == KNOWN_TEXT)
            return found->text;
        input = found->from;
    }
    return NULL;
}

/* Does `input` begin with what the caller says: with a function's argument, which is an input without a colon, or
 * with a placeholder? Its default must be harmless. */
static bool input_is_told(const struct graph *graph, const char *input)
{
    for (unsigned hops = 0; hops < HOPS; hops++) {
        const struct known *found = known_find(graph, input);
        if (!found)
            return graph->in_function && !strchr(input, ':');
        if (found->kind == KNOWN_FED)
            return true;
        if (found->kind == KNOWN_DEFAULT) {
            const char *path = input_resolve(graph, found->from);
            return path && !graph_elsewhere(path);
        }
        if (found->kind == KNOWN_TEXT)
            return false;
        input = found->from;
    }
    return false;
}

bool graph_elsewhere(const char *path)
{
    return path_leaves(path) || strstr(path, "://");
}

/* Savers' names as TensorFlow gives them: "save/SaveV2", "save_1/RestoreV2", functions
 * "__inference__traced_save_123". */
static bool named_saver(const struct graph *graph, const char *node)
{
    if (!graph->in_function)
        return starts(node, "save/") || starts(node, "save_");
    return starts(graph->function, SAVER_FUNCTION) || starts(graph->function, "__inference__traced_restore");
}

/* A saver saves where it is told to. */
static bool saver_is_told(const struct graph *graph, const struct waiting *waiting)
{
    const char *path = input_resolve(graph, waiting->input);
    if (waiting->operator->when == CALL)
        return !graph->in_function && input_is_told(graph, waiting->input);
    if (waiting->operator->when != SAVER || !named_saver(graph, waiting->name))
        return false;
    if (path)
        return !graph_elsewhere(path);
    return waiting->operator->kind == EFFECT_READ || input_is_told(graph, waiting->input);
}

/* The constant from which `input` comes. */
static const struct known *constant_find(const struct graph *graph, const char *input)
{
    const struct known *found = known_find(graph, input);
    for (unsigned hops = 0; hops < HOPS && found && found->kind != KNOWN_TEXT; hops++)
        found = known_find(graph, found->from);
    return found && found->kind == KNOWN_TEXT ? found : NULL;
}

/* Loaders of TensorFlow 1 set such a constant to where the asset lies; the graph still says where it lay when the
 * model was made. */
static bool file_wait(struct graph *graph, const struct waiting *waiting, const char *path)
{
    const struct known *constant = constant_find(graph, waiting->input);
    if (waiting->operator->when != TOLD || waiting->operator->kind != EFFECT_READ || graph->in_function || !constant ||
        graph->file_count == LIMIT_GRAPH_NAMES)
        return false;
    struct told_file *file = &graph->files[graph->file_count++];
    file->waiting = *waiting;
    memcpy(file->constant, constant->name, sizeof file->constant);
    memset(file->path, 0, sizeof file->path);
    memcpy(file->path, path, strnlen(path, sizeof file->path - 1));
    return true;
}

void graph_files_end(struct graph *graph)
{
    for (size_t i = 0; i < graph->file_count && !graph->scan->stopped; i++) {
        const struct told_file *file = &graph->files[i];
        const char *path = file->path;
        for (size_t j = 0; j < graph->asset_count; j++)
            if (names_node(graph->assets[j].tensor, file->constant))
                path = graph->assets[j].name;
        graph_report(graph, EFFECT_READ, path, file->waiting.operator->name, file->waiting.name, file->waiting.offset);
    }
    graph->file_count = graph->asset_count = 0;
}

void graph_asset_begin(struct graph *graph)
{
    if (graph->asset_count == LIMIT_GRAPH_NAMES) /* the oldest goes: what it names is then told as the graph has it */
        memmove(graph->assets, graph->assets + 1, --graph->asset_count * sizeof *graph->assets);
    memset(&graph->assets[graph->asset_count++], 0, sizeof *graph->assets);
}

void graph_asset_tensor(struct graph *graph, const char *tensor)
{
    if (graph->asset_count > 0)
        memcpy(graph->assets[graph->asset_count - 1].tensor, tensor, strnlen(tensor, NAME_SIZE - 1));
}

void graph_asset_name(struct graph *graph, const char *name, uint64_t offset)
{
    if (graph->asset_count > 0)
        memcpy(graph->assets[graph->asset_count - 1].name, name, strnlen(name, NAME_SIZE - 1));
    if (graph_elsewhere(name))
        graph_report(graph, EFFECT_READ, name, "asset", "", offset);
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
    if (saver_is_told(graph, waiting) || file_wait(graph, waiting, path))
        return;
    graph_report(graph, operator->kind, path && path[0] ? path : "(computed)", operator->name, waiting->name,
                 waiting->offset);
}

/* A graph, or a function, is complete. */
void graph_scope_end(struct graph *graph)
{
    for (size_t i = 0; i < graph->waiting_count && !graph->scan->stopped; i++)
        operator_judge(graph, &graph->waiting[i]);
    graph->waiting_count = graph->known_count = 0;
    graph->function[0] = '\0';
}

static void known_add(struct graph *graph, const struct node *node, enum known_kind kind)
{
    /* Without room the oldest goes: paths are mostly next to what uses them. */
    if (graph->known_count == LIMIT_GRAPH_NAMES)
        memmove(graph->known, graph->known + 1, --graph->known_count * sizeof *graph->known);
    struct known *known = &graph->known[graph->known_count++];
    *known = (struct known){0};
    known->kind = kind;
    memcpy(known->name, node->name, sizeof known->name);
    memcpy(known->text, node->text, sizeof known->text);
    memcpy(known->from, node->inputs[0], sizeof known->from);
}

static void waiting_add(struct graph *graph, const struct operator *operator)
{
    const struct node *node = &graph->node;
    struct waiting waiting = {.operator = operator, .offset = node->offset};
    memcpy(waiting.name, node->name, sizeof waiting.name);
    if (operator->input < NO_INPUT)
        memcpy(waiting.input, node->inputs[operator->input], sizeof waiting.input);
    if (saver_is_told(graph, &waiting)) /* a large graph has more names than are kept */
        return;
    if (graph->waiting_count == LIMIT_GRAPH_NAMES)
        operator_judge(graph, &waiting);
    else
        graph->waiting[graph->waiting_count++] = waiting;
}

/* What is known of the node's output, if it can be part of a path. */
static void known_note(struct graph *graph)
{
    static const struct {
        const char *operator;
        enum known_kind kind;
    } kinds[] = {{"Placeholder", KNOWN_FED}, {"PlaceholderWithDefault", KNOWN_DEFAULT}, {"StringJoin", KNOWN_JOINED},
                 {"ShardedFilename", KNOWN_JOINED}};
    const struct node *node = &graph->node;
    if (strcmp(node->operator, "Const") == 0 && node->text_there)
        known_add(graph, node, KNOWN_TEXT);
    else if (starts(node->operator, "Identity") && node->input_count > 0)
        known_add(graph, node, KNOWN_SAME);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(node->operator, kinds[i].operator) == 0)
            known_add(graph, node, kinds[i].kind);
}

void graph_node_end(struct graph *graph)
{
    const struct node *node = &graph->node;
    known_note(graph);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(node->operator, operators[i].name) == 0)
            waiting_add(graph, &operators[i]);
    if (node->calls_saver || starts(node->operator, SAVER_FUNCTION))
        waiting_add(graph, &saver_called);
}

void graph_function_named(struct graph *graph, const char *name)
{
    graph->node.calls_saver |= starts(name, SAVER_FUNCTION);
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
            (!attributes[i].operator || node->operator[0] == '\0' ||
             strcmp(attributes[i].operator, node->operator) == 0))
            graph_report(graph, attributes[i].kind, text,
                         attributes[i].operator ? attributes[i].operator : attributes[i].key, node->name, offset);
}

