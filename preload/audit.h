/* The interpreter's own audit events: names being resolved by unpicklers, and deeds done below them. */
#ifndef GUARD_AUDIT_H
#define GUARD_AUDIT_H

#include "python.h"

/* Adds the audit hook if this process has an interpreter and the hook is not there yet; silent otherwise. From the
 * constructor, before the interpreter starts, and again when a libpython may have been loaded (uwsgi, embedding
 * programs). Uses dlsym. */
void audit_install(void);

/* A file is being opened: is it a codec, with which an interpreter starts? Programs that embed one load it after the
 * constructor ran, or end it and start anew. A compare of one flag where the hook is in place. */
void audit_notice(const char *path);

#endif
