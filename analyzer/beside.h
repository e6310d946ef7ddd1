/* Code that lies beside a model: what Python would run or import if the model's folder were on its path. */
#ifndef GUARD_BESIDE_H
#define GUARD_BESIDE_H

#include "format.h"

/* Looks at a file of a model's folder; `name` is its path. Reported is one effect CODE, MODULE being the name under
 * which Python imports the file ("sitecustomize", "torch"; a package by its folder):
 *
 *   "python-source/MODULE"    a .py file
 *   "python-bytecode/MODULE"  compiled Python, whatever its name
 *   "native-object/MODULE"    a program or shared object, whatever its name
 *   "python-path/MODULE"      a .pth file with a line that Python executes at start-up
 *   "marshal"                 a marshalled code object without the header of a .pyc
 *
 * False when it is none of these. */
bool beside_run(struct scan *scan, const struct source *source, const char *name);

#endif
