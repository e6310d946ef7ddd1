/* Inside the analyzer only: TensorFlow's graphs. saved_model.c walks them, tensorflow_judge.c says which operators act,
 * tensorflow_bid.c tells them from other files. */
#ifndef GUARD_TENSORFLOW_H
#define GUARD_TENSORFLOW_H

#include "bytes.h"
#include "protobuf.h"

#include <string.h>

#define NAME_SIZE 128u

/* A node, as far as it is of interest. */
struct node {
    char name[NAME_SIZE], operator[48], inputs[2][NAME_SIZE], key[32];
    unsigned input_count;
    char text[LIMIT_ARGUMENT_TEXT]; /* the first text in its "value", which is that of a constant */
    bool text_there;
    char late[LIMIT_ARGUMENT_TEXT]; /* a text that came before the key of its attribute */
    uint64_t late_offset;
    bool calls_saver;
    uint64_t offset;
};

/* What is known of a node's output: a constant text; what comes in at `from`; text that begins with that; what the
 * caller feeds; and what he may feed in the place of `from`. */
enum known_kind { KNOWN_TEXT, KNOWN_SAME, KNOWN_JOINED, KNOWN_FED, KNOWN_DEFAULT };
struct known {
    enum known_kind kind;
    char name[NAME_SIZE], from[NAME_SIZE];
    char text[LIMIT_ARGUMENT_TEXT];
};

struct operator;

/* An operator that waits for the end of its graph, since constants may come behind it. */
struct waiting {
    const struct operator *operator;
    char name[NAME_SIZE], input[NAME_SIZE];
    uint64_t offset;
};

/* A file that an operator of the main graph is told by a constant, until it is known whether this stands for an
 * asset. */
struct told_file {
    struct waiting waiting;
    char constant[NAME_SIZE];
    char path[LIMIT_ARGUMENT_TEXT];
};

struct graph {
    struct scan *scan;
    const struct source *source;
    const char *format;
    unsigned nested; /* graphs and models in texts so far */
    struct protobuf protobuf;
    struct node node;
    bool in_function;
    char function[NAME_SIZE];
    struct known known[LIMIT_GRAPH_NAMES];
    struct waiting waiting[LIMIT_GRAPH_NAMES];
    size_t known_count, waiting_count;
    struct told_file files[LIMIT_GRAPH_NAMES];
    size_t file_count;
    struct {
        char tensor[NAME_SIZE], name[NAME_SIZE];
    } assets[LIMIT_GRAPH_NAMES];
    size_t asset_count;
};

static inline bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The node is complete, and so is the graph or function. */
void graph_node_end(struct graph *graph);
void graph_scope_end(struct graph *graph);

/* The MetaGraphDef is complete, its assets among it. */
void graph_files_end(struct graph *graph);

/* An asset begins, and what is said of it: the tensor that the loader sets to its path, and its name. */
void graph_asset_begin(struct graph *graph);
void graph_asset_tensor(struct graph *graph, const char *tensor);
void graph_asset_name(struct graph *graph, const char *name, uint64_t offset);

/* The node names a function of the library, which it calls or has called. */
void graph_function_named(struct graph *graph, const char *name);

/* A text in the attribute of the node whose key is known. */
void graph_attribute(struct graph *graph, const char *text, uint64_t offset);

/* Does the model keep this file elsewhere than in its folder? */
bool graph_elsewhere(const char *path);

/* An effect of the graph when it runs; `field`: the node, or empty. */
void graph_report(struct graph *graph, enum effect_kind kind, const char *name, const char *operator, const char *field,
                  uint64_t offset);

unsigned graph_bid(const struct bid_view *view);
unsigned saved_model_bid(const struct bid_view *view);
unsigned meta_graph_bid(const struct bid_view *view);

#endif
