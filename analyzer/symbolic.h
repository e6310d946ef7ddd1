/* Symbolic expressions in the JSON of exported programs: sizes and guards. They are evaluated as Python: sizes
 * ("expr_str") by sympify() when torch.export.load() reads them, guards ("guards_code") when the module is called
 * (torch/_export/serde/serialize.py, torch/export/_unlift.py). */
#ifndef GUARD_SYMBOLIC_H
#define GUARD_SYMBOLIC_H

#include <stdbool.h>
#include <stddef.h>

/* An expression being read in pieces. Zero it to start. */
struct symbolic_scan {
    char quote;         /* the string that is open, or 0 */
    char last;          /* last byte that is no white space */
    bool space;         /* white space stood behind it */
    char name[48];      /* the dotted name that ends there, or its start */
    size_t name_length; /* of all of it; 0: there is none */
    bool of_value;      /* it is an attribute of what is no name: "L['x'].size" */
};

/* Reads the next piece (UTF-8). Returns what was found, a static string, or NULL for nothing so far. Found is what
 * arithmetic on sizes never needs: calls of anything but SymPy's classes and the functions of size arithmetic, names
 * with two underscores, and signs of other syntax, in strings as well. */
const char *symbolic_scan(struct symbolic_scan *scan, const char *text, size_t length);

#endif
