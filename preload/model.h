/* Which model does a file belong to? Paths in, identities out; shared by the hooks and the command. */
#ifndef GUARD_MODEL_H
#define GUARD_MODEL_H

#include <stdbool.h>
#include <stddef.h>

struct model_identity {
    char id[512];       /* "hf:org/name", "file:FOLDER" or as in model_cache.h; empty when the file belongs to no known
                           model */
    char revision[65];  /* commit of a hub snapshot, or empty */
    char inside[512];   /* path within the model ("unet/diffusion_pytorch_model.bin") */
    bool hub; /* it lies in a cache of Hugging Face's hub, or in the copies that transformers makes of its code */
};

/* The text of the absolute `path` tells whose a file in a cache is: models--ORG--NAME/snapshots/COMMIT/FILE and the
 * like. Elsewhere it is the folder's, or that of the nearest of MODEL_DEPTH folders above which is the top of a model
 * in several (a diffusers pipeline, a sentence-transformers model, an MLmodel): a few system calls, no allocation,
 * errno kept. */
#define MODEL_DEPTH 3
void model_identify(const char *path, struct model_identity *identity);

/* Only what the text tells: is `hub` so? No system calls. */
bool model_in_hub(const char *path, struct model_identity *identity);

/* Does `path` lie in a cache whose every file belongs to some model: a snapshot of the hub, the copies of its code, a
 * repository of torch.hub? Then fills `identity`. Quick for all other paths; no system calls. */
bool model_in_cache(const char *path, struct model_identity *identity);

/* Does `path` lie in a hub cache, or in a folder (or its parent) that holds weights? Looks for weight files by
 * directory listing with raw system calls, at most MODEL_ROOT_ENTRIES names a folder; no allocation, errno kept. */
#define MODEL_ROOT_ENTRIES 4096
bool model_in_root(const char *path);

/* Is it a model's file by its own name? Text only. */
bool model_by_name(const char *path);

/* The same as model_in_root() for a file that may be code: true only where a name shows weights. Its own does not, nor
 * do small .pth files, which are lists of paths for Python. */
bool model_beside_weights(const char *path);

#endif
