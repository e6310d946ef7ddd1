/* Files outside a model's folder that the model names: data of ONNX tensors, links and storage in HDF5. A library opens
 * them when the data are asked for, long after the model was judged. */
#ifndef GUARD_OUTSIDE_H
#define GUARD_OUTSIDE_H

#include "../analyzer/effect.h"
#include "path_part.h"

/* Of the last parts of all such names: path_name_bit(). */
extern uint64_t outside_names;

/* Could `path` be one of them? For hot paths: one load while no model named any. */
static inline bool outside_may_name(const char *path)
{
    uint64_t names = __atomic_load_n(&outside_names, __ATOMIC_RELAXED);
    return names != 0 && path != NULL && (names & path_name_bit(path)) != 0;
}

/* Does the straight path `at` lie outside the folder of `file` and the model that this belongs to? */
bool outside_lies(const char *at, const char *file);

/* Would `target`, as the file at the absolute `path` (`real`: what the kernel calls it) names it, be read from outside
 * the model that the file belongs to? Relative ones are taken from the file's folder and from the working directory, as
 * libraries do. */
bool outside_leaves(const char *target, const char *path, const char *real);

/* Remembers that it would: `effect` says the target and the format that names it. Never forgets, however many a file
 * names; only which file named which gives way. Lock-free; allocates nothing. */
void outside_note(const struct effect *effect, const char *path, const char *real);

/* May the file behind `fd`, just opened as `path` relative to `dirfd`, be had by who opened it? Not if a model named it
 * and a library follows that name, as the policy's rules for a live "read" of home "model" say, by the format that
 * names it. The program's own opening of the same file is its own: through the interpreter, or by the library's call
 * for opening a file of that name. */
bool outside_may_open(int fd, int dirfd, const char *path);

#endif
