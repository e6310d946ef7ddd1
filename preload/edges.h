/* Which model led to which: what judged files name is remembered, so that opening it can be laid at their door. */
#ifndef GUARD_EDGES_H
#define GUARD_EDGES_H

#include "frames.h"
#include "model.h"

/* Targets remembered in a process; the oldest give way. A mixture of a hundred adapters names two each. */
#define EDGES_MAX 512

enum edge_kind { EDGE_OBSERVED, EDGE_DECLARED, EDGE_PICKLED };
const char *edge_kind_name(enum edge_kind kind); /* as records spell it */

/* What led to a file, or names one. */
struct edge {
    enum edge_kind kind;
    char parent[512]; /* the model's id; empty: no model is known to have led here */
    char from[512];   /* the file in it that says so, or empty */
};

/* Could `path` be one of those that edges_note_file() was told of? Quick; may say yes too often. */
bool edges_may_name(const char *path);

/* `target` as the file at the absolute `path` of model `declarer` names it: a hub's "org/name", or a path, which
 * libraries take relative to the working directory and to the model. Lock-free; allocates nothing. */
void edges_note(const char *target, const char *path, const struct model_identity *declarer, enum edge_kind kind);
/* The same of a file that belongs to the model itself (weights beside an ONNX graph), relative to its folder. */
void edges_note_file(const char *target, const char *path, const struct model_identity *declarer);

/* The id of the other model to which that name leads: that of a folder or file which is there, relative to the working
 * directory or to the model, as libraries look first, else of the hub. False: to none that can be told, or to the
 * declarer itself. */
bool edges_target(const char *target, const char *path, const struct model_identity *declarer, char id[512]);

/* A file of a hub cache's refs/ was read: the program asks for that revision ("refs/pr/3") by name. Whatever
 * `path` is. */
void edges_note_ref(const char *path);
/* The revision of `model` that was asked for by name on whichever thread last; false: none. */
bool edges_ref(const char *model, char ref[512]);

/* Who led to the file at `path` (`real`: what the kernel calls it), of the model `model`? `reading`: the file that an
 * unpickler on this thread reads from, NULL for none: what it opens is its doing. Then whoever named the file or its
 * model, then code that came with a model and runs in one of `frames`. */
void edges_find(const char *path, const char *real, const struct model_identity *model, const char *reading,
                const struct frame *frames, unsigned frame_count, struct edge *edge);

#endif
