/* The analyzer's public header: bytes in, effects out.
 *
 * Pure: no policy, no hooks, no global state, no printing, no open(). Safe on any thread; two scans share nothing. */
#ifndef GUARD_SCAN_H
#define GUARD_SCAN_H

#include "effect.h"
#include "source.h"

/* Where the analyzer takes its memory from. take() returns zeroed memory or NULL; give() gets the same size back. */
struct scan_memory {
    void *(*take)(void *context, size_t bytes);
    void (*give)(void *context, void *pointer, size_t bytes);
    void *context;
    /* As take() with any content, for whoever clears what he uses; NULL: take() serves. */
    void *(*take_any)(void *context, size_t bytes);
};

/* What the receiver of an effect answers. */
enum scan_answer {
    SCAN_GO_ON,
    SCAN_SETTLED, /* more effects of this kind for this name need not be reported in this scan, whatever their
                     arguments */
    SCAN_STOP     /* the verdict stands; end the scan */
};
typedef enum scan_answer (*scan_sink)(void *context, const struct effect *effect);

struct scan_request {
    struct source source;
    const char *path;   /* for config files, whose meaning hangs on their name ("adapter_config.json"); NULL if unknown.
                           Never decides whether a pickle or container is one. */
    bool in_model_root; /* the file lies in a hub cache or a folder that holds weights; configs are only judged there */
    bool beside; /* the file lies beside weights and nothing is running: say what of it is code (beside.h). In a running
                    program code is judged when it is executed, and reading it costs nothing more */
    bool thorough;      /* at rest, where time matters less: look further into files that do not bid at first sight */
    struct scan_memory memory;
    scan_sink sink;
    void *sink_context;
};

enum scan_status {
    SCAN_DONE,      /* analysed; whatever there was went to the sink. Limits and damage are effects, not statuses */
    SCAN_NOT_MODEL, /* no format recognised the content */
    SCAN_STOPPED,   /* the sink said SCAN_STOP */
    SCAN_IO,        /* the source failed: `error` */
    SCAN_MEMORY     /* no memory; nothing is known, so never clean */
};

#define SCAN_FORMATS 8
struct scan_result {
    enum scan_status status;
    int error;                          /* errno of SCAN_IO */
    const char *formats[SCAN_FORMATS];  /* outermost first: "zip", "torch-zip", "pickle"; static strings */
    size_t format_count;
    bool beside; /* no model, but code that lies beside one */
};

void scan_run(const struct scan_request *request, struct scan_result *result);

/* Could a file of this name (NULL: unknown) be a config at all? Only then is it worth asking whether it lies in a model
 * root, which costs system calls, while most text that a program opens is none. */
bool scan_config_name(const char *path);

/* The same, when it also begins with these bytes: a README.md is a config by its front matter alone, and most have
 * none. */
bool scan_config_begins(const char *path, const unsigned char *head, size_t length);

/* Does its loader find a file of this name (NULL: unknown) by that name alone, whatever it begins with? TensorFlow
 * takes saved_model.pb with its fields in any order, and saved_model.pbtxt. */
bool scan_named(const char *path);

/* Could a file that begins so and lies at `path` be code beside a model? Only then is it worth asking what lies beside
 * it. */
bool scan_beside(const unsigned char *head, size_t head_length, const char *path);

/* The fast path. Could these bytes be in scope? `head` is the file's first bytes (SCAN_HEAD where it has as many),
 * `tail` its last (SCAN_TAIL where it has as many; may overlap head). Allocates nothing and takes about a microsecond.
 * A 0 is final: the file is no pickle, model or container; errors are towards a bid. */
#define SCAN_HEAD 4096
#define SCAN_TAIL 4096 /* a zip is known by its end, behind which a comment may follow */
enum scan_bid {
    SCAN_BID_NONE = 0,
    SCAN_BID_CONTENT = 1, /* a pickle, model or container, wherever it lies */
    SCAN_BID_CONFIG = 2   /* text that is judged only in a model root */
};
unsigned scan_bid(const unsigned char *head, size_t head_length, const unsigned char *tail, size_t tail_length,
                  uint64_t size);

#endif
