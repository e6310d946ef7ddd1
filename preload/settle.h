/* What is a name that no rule lists? Where its module comes from and what kind of object it is. GIL held. */
#ifndef GUARD_SETTLE_H
#define GUARD_SETTLE_H

#include "../policy/policy.h"

/* Where `module` comes from, without importing it: from sys.modules if it is there, else from the finders on
 * sys.path. */
enum home settle_home(const char *module);

/* Where the code of the file at the absolute `path` comes from. `loaded`: it is not an unpickler that asks for it
 * now. */
enum home settle_file(const char *path, bool loaded);

/* A (module, name); longer ones are left out, as no name of a real library is that long. */
struct settled_name {
    char module[256], name[256];
};

/* Imports `module`, as the unpickler is about to do, and walks `name` (dotted from protocol 4 on). To be called only
 * for modules whose home may be imported (never HOME_MODEL or HOME_TEMPORARY), and only when what happens next is that
 * very import. Errors are swallowed: the unpickler will meet them itself. `own` receives what a class or function calls
 * itself when it was reached by another name (`from os import system` makes __main__.system); else it is emptied. */
enum object settle_object(const char *module, const char *name, struct settled_name *own);

/* The `at`-th class from which `class` inherits, from 0 in the order in which attributes are looked for; false: there
 * are no more, or it is not loaded. */
bool settle_base(const struct settled_name *class, unsigned at, struct settled_name *base);

/* Both, for a name that is about to be resolved: the kind is asked only of modules that may be imported. Remembers
 * answers. */
void settle(const char *module, const char *name, enum home *home, enum object *kind, struct settled_name *own);

#endif
