/* Does a TensorFlow graph that came out of a file act on this thread? Its operators run on threads of TensorFlow's
 * own, without Python and without audit events, and a function of a loaded SavedModel runs there exactly as one of
 * the program's own does. What tells them apart is which operator acts: the frames on the native stack name its
 * class, and the analyzer told which operators that touch files the graphs hold that this process opened. */
#ifndef GUARD_GRAPH_H
#define GUARD_GRAPH_H

#include "../analyzer/effect.h"
#include "verdicts.h"

/* The file that holds the operator. */
struct graph_file {
    char path[VERDICT_PATH]; /* absolute; empty when it is longer */
    const char *format;      /* static */
};

/* Does this process hold such a graph? Grows only. */
extern bool graph_present;
static inline bool graph_known(void) { return __atomic_load_n(&graph_present, __ATOMIC_ACQUIRE); }

/* The graph in the file at the absolute `path` holds an operator that reads or writes files (its name is the effect's
 * argument). Other effects are not its business. Lock-free; allocates nothing. */
void graph_note(const struct effect *effect, const char *path);

/* The file was denied: nothing of it will run. */
void graph_forget(const char *path);

/* Does such an operator act on this thread? False when the program called the operator itself, by name, or when
 * Python stands between (py_function). Fills `file` (NULL: not wanted). Any hook; microseconds once the frames'
 * functions are known. */
bool graph_running(struct graph_file *file);

/* May the file behind `fd`, just opened as `path` relative to `dirfd`, be read by who opened it? A graph reads what
 * lies in its own model's folder, and else what the policy lets it. */
bool graph_may_open(int fd, int dirfd, const char *path);

#endif
