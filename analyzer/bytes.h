/* Questions about bytes in memory that several formats ask when they bid. */
#ifndef GUARD_BYTES_H
#define GUARD_BYTES_H

#include <stdbool.h>
#include <stddef.h>

/* Does `text` stand anywhere in [bytes, bytes + length)? */
bool bytes_hold(const unsigned char *bytes, size_t length, const char *text);

/* Do the bytes begin, or end, with `text`? */
bool bytes_begin(const unsigned char *bytes, size_t length, const char *text);
bool bytes_end(const unsigned char *bytes, size_t length, const char *text);

/* How many of the first bytes are white space as JSON and Python's json see it. */
size_t bytes_blank(const unsigned char *bytes, size_t length);

/* Does a path that a model names leave the model's folder: is it absolute, or does a part of it say ".."? */
bool path_leaves(const char *path);

#endif
