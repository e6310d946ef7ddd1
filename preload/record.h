/* Records: what was seen and judged, one JSON line each, handed to the kernel before the program goes on. */
#ifndef GUARD_RECORD_H
#define GUARD_RECORD_H

#include "../policy/policy.h"
#include "frames.h"
#include "model.h"
#include "naming.h"

/* A line is cut to fit (fields are left out from the end, the JSON stays whole). One write each: with O_APPEND lines of
 * several processes do not mix on local file systems. */
#define RECORD_MAX 32768
/* Python frames in a record: a pipeline() of transformers reaches its script through some 25. */
#define RECORD_FRAMES 48

/* NULL and 0 stand for unknown and come out as null. */
struct record {
    const char *event; /* "start", "load", "call", ... */
    enum decision decision;
    const char *rule, *severity, *effect, *name, *arguments, *path, *format;
    int64_t size;       /* bytes, -1 unknown */
    const char *sha256;
    bool locked; /* the file differs from the lock, which says this of it: */
    const char *locked_sha256, *locked_revision;
    const struct model_identity *model;
    const char *real;   /* what the kernel calls the file, when that is not `path` */
    const char *parent; /* id of the model that led to it, and the file in that which says so */
    const char *from;
    const char *edge;   /* "declared", "pickled", "observed" */
    const struct naming *naming; /* who wrote the model's name down; NULL: not looked for */
    const char *target; /* the id of the other model to which an edge leads */
    const char *field;  /* "depend": the config field that names the other model */
    const char *revision; /* "depend": the revision named; "load": the one asked for, when that is no commit */
    const bool *pinned; /* is that a commit, so that the other model cannot be swapped? */
    enum origin origin;
    const struct frame *frames;
    unsigned frame_count;
    bool native;        /* add the native stack: tens of microseconds */
    const char *why;
};

/* Is anybody listening? */
bool record_wanted(void);

/* Writes it. False when it could not be written; said once on stderr. Async-signal-unsafe only by `native` (dladdr). */
bool record_write(const struct record *record);

/* An "error" record: what guard itself cannot do here (`name`, a stable token), and what that costs (`why`). */
void record_failure(const char *name, const char *why);

/* How many could not be written by this process so far. */
unsigned long record_lost(void);

#endif
