/* Which model does a file belong to? Paths in, identities out; shared by the hooks and the command. */
#ifndef GUARD_MODEL_H
#define GUARD_MODEL_H

#include <stdbool.h>
#include <stddef.h>

struct model_identity {
    char id[512];       /* "hf:org/name" or "file:FOLDER"; empty when the file belongs to no known model */
    char revision[65];  /* commit of a hub snapshot, or empty */
    char inside[512];   /* path within the model ("pytorch_model.bin"), or the file's name */
    bool hub;           /* it lies in a hub cache */
};

/* Reads only the text of the absolute `path`: models--ORG--NAME/snapshots/COMMIT/FILE and the like; else the folder. */
void model_identify(const char *path, struct model_identity *identity);

/* Does `path` lie in a hub cache, or in a folder (or its parent) that holds weights? Looks for weight files by directory
 * listing with raw system calls, at most MODEL_ROOT_ENTRIES names a folder; no allocation, errno kept. */
#define MODEL_ROOT_ENTRIES 4096
bool model_in_root(const char *path);

#endif
