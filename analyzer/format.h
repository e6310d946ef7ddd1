/* Inside the analyzer only: what a format file gives and what it may use. One file per format. */
#ifndef GUARD_FORMAT_H
#define GUARD_FORMAT_H

#include "limits.h"
#include "scan.h"

/* Memory that lives until the scan ends; taken from scan_memory in blocks, capped by LIMIT_ARENA. */
struct arena;
void *arena_take(struct arena *arena, size_t bytes); /* zeroed, 16-byte aligned; NULL past the cap */
char *arena_copy(struct arena *arena, const char *text, size_t length); /* NUL-terminated copy or NULL */
struct arena_mark { void *block; size_t used; };
struct arena_mark arena_mark(struct arena *arena);
void arena_release(struct arena *arena, struct arena_mark mark); /* everything taken since the mark */

/* One scan under way. Fields are read by formats, changed only through the functions below. */
struct scan {
    const struct scan_request *request;
    struct scan_result *result;
    struct arena *arena;
    unsigned depth;        /* of nesting; 0: the file itself */
    uint64_t unpacked;     /* bytes decompressed so far */
    uint64_t unpack_memory; /* used by decompressors at present */
    const char *member;    /* path inside the file of what is being analysed, or NULL */
    bool model;            /* something outside already said that this is a model (opaque and malformed then count) */
    bool stopped;          /* the sink said stop, memory ended or the source failed: unwind, report nothing more */
};

/* Sends `effect` to the sink with member and format filled in. Returns the sink's answer; sets scan->stopped on
 * SCAN_STOP. */
enum scan_answer scan_report(struct scan *scan, const char *format, struct effect *effect);

/* Short forms for the two verdicts on the bytes themselves. `token` is stable ("zip-names-differ"), `detail` for
 * people. */
void scan_malformed(struct scan *scan, const char *format, const char *token, uint64_t offset, const char *detail);
void scan_opaque(struct scan *scan, const char *format, const char *token, uint64_t offset, const char *detail);

/* Ends the scan because nothing more can be known: SCAN_IO with the errno of the source, or SCAN_MEMORY. The first
 * counts. */
void scan_failed(struct scan *scan, enum scan_status status, int error);

/* Records that the bytes are of `format` (static string). */
void scan_is(struct scan *scan, const char *format);

/* The same, in front of all recorded since result->format_count was `outside`: an archive is of interest, and a model,
 * only once something in it bid. */
void scan_is_around(struct scan *scan, const char *format, size_t outside);

/* "outer!inner" in the arena: what scan->member becomes for effects inside the member `inner`, which has no name of its
 * own when empty. Without memory the outer path, as it is for people only. */
const char *scan_member_inside(struct scan *scan, const char *inner);

/* Analyses `source` as a thing inside the present one: bidding, all high bids, under the same budgets. `member` is its
 * path within its parent (copied). Returns whether any format bid. Past LIMIT_NESTING: opaque, if scan->model. */
bool scan_nested(struct scan *scan, const struct source *source, const char *member);

/* Adds to the unpacked bytes; false past LIMIT_UNPACKED (the caller reports opaque "unpack-limit" and stops that
 * member). */
bool scan_unpack_budget(struct scan *scan, uint64_t bytes);

/* What a format sees when it bids: the first bytes, and the last. */
struct bid_view {
    const unsigned char *head;
    size_t head_length;
    const unsigned char *tail;
    size_t tail_length;
    uint64_t size;
};

/* A format. bid(): bits of evidence (libarchive's way), 0 for none, pure and allocation-free. run(): analyse; false
 * only when on a closer look the bytes are not of this format after all and nothing was reported. */
struct format {
    const char *name;
    unsigned (*bid)(const struct bid_view *view);
    bool (*run)(struct scan *scan, const struct source *source);
};
/* Evidence from which on a format is run. All that reach it are run (polyglots). */
#define BID_RUN 8u

extern const struct format format_pickle, format_zip, format_tar, format_npy, format_gzip, format_zlib, format_bzip2,
    format_xz, format_lz4, format_zstd, format_7z,
    format_safetensors, format_gguf, format_onnx, format_hdf5, format_keras, format_saved_model,
    format_tensorflow_graph, format_tensorflow_meta, format_skops, format_tflite, format_flax, format_coreml,
    format_xgboost, format_lightgbm,
    format_llamafile;
/* A file that scan_named() knows and that did not bid as one. False: TensorFlow cannot read it either. */
bool saved_model_named(struct scan *scan, const struct source *source);

/* Configs bid on names and model roots, not on bytes alone: see config.h. */

#endif
