#include "arena.h"
#include "beside.h"
#include "config.h"
#include "format.h"
#include "zip.h"

#include <string.h>

/* Containers first, so that result->formats names them outermost first. */
static const struct format *const formats[] = {
    &format_zip, &format_tar, &format_gzip, &format_zlib, &format_bzip2, &format_xz, &format_lz4, &format_zstd,
    &format_7z, &format_npy, &format_safetensors, &format_gguf, &format_onnx, &format_hdf5, &format_keras,
    &format_saved_model, &format_tensorflow_graph, &format_tensorflow_meta, &format_skops,
    &format_tflite, &format_flax, &format_coreml,
    &format_xgboost, &format_lightgbm, &format_pickle, &format_llamafile,
};
#define FORMAT_COUNT (sizeof formats / sizeof formats[0])
#define FORMAT_ZIP 1u /* its bit */

/* What a config may begin with is text: the first bytes hold no control characters but white space. JSON and YAML may
 * also be wide, which a mark or a zero beside the first character tells. */
static bool text_begins(const unsigned char *head, size_t length)
{
    size_t i;

    if (length > 64)
        length = 64;
    if (length >= 4 && ((head[0] >= 0xFE && head[1] >= 0xFE) || (head[0] == 0) != (head[1] == 0) ||
                        (head[0] == 0 && head[1] == 0 && head[2] == 0 && head[3] != 0)))
        return true;
    for (i = 0; i < length; i++)
        if (head[i] < 0x20 && head[i] != '\n' && head[i] != '\r' && head[i] != '\t' && head[i] != '\f')
            return false;
    return length > 0;
}

unsigned scan_bid(const unsigned char *head, size_t head_length, const unsigned char *tail, size_t tail_length,
                  uint64_t size)
{
    const struct bid_view view = {head, head_length, tail, tail_length, size};
    unsigned bid = SCAN_BID_NONE;
    size_t i;

    if (head_length == 0)
        return SCAN_BID_NONE;
    for (i = 0; i < FORMAT_COUNT && !bid; i++)
        if (formats[i]->bid(&view) >= BID_RUN)
            bid = SCAN_BID_CONTENT;
    if (text_begins(head, head_length))
        bid |= SCAN_BID_CONFIG;
    return bid;
}

enum scan_answer scan_report(struct scan *scan, const char *format, struct effect *effect)
{
    enum scan_answer answer;

    if (scan->stopped)
        return SCAN_STOP;
    effect->format = format;
    effect->member = scan->member;
    answer = scan->request->sink(scan->request->sink_context, effect);
    if (answer == SCAN_STOP) {
        scan->stopped = true;
        scan->result->status = SCAN_STOPPED;
    }
    return answer;
}

static void report_bytes(struct scan *scan, const char *format, enum effect_kind kind, const char *token,
                         uint64_t offset, const char *detail)
{
    struct effect effect = {.kind = kind, .name = token, .offset = offset, .detail = detail};

    scan_report(scan, format, &effect);
}

void scan_malformed(struct scan *scan, const char *format, const char *token, uint64_t offset, const char *detail)
{
    report_bytes(scan, format, EFFECT_MALFORMED, token, offset, detail);
}

void scan_opaque(struct scan *scan, const char *format, const char *token, uint64_t offset, const char *detail)
{
    report_bytes(scan, format, EFFECT_OPAQUE, token, offset, detail);
}

void scan_failed(struct scan *scan, enum scan_status status, int error)
{
    if (scan->stopped)
        return;
    scan->stopped = true;
    scan->result->status = status;
    scan->result->error = error;
}

static bool scan_was(const struct scan_result *result, const char *format)
{
    for (size_t i = 0; i < result->format_count; i++)
        if (strcmp(result->formats[i], format) == 0)
            return true;
    return false;
}

void scan_is(struct scan *scan, const char *format)
{
    struct scan_result *result = scan->result;

    if (!scan_was(result, format) && result->format_count < SCAN_FORMATS)
        result->formats[result->format_count++] = format;
}

void scan_is_around(struct scan *scan, const char *format, size_t outside)
{
    struct scan_result *result = scan->result;
    size_t i = 0;

    while (i < result->format_count && strcmp(result->formats[i], format) != 0)
        i++;
    if (i < outside || outside >= SCAN_FORMATS)
        return;
    /* Not there yet: a new last one makes room, or the innermost of too many goes. */
    if (i == result->format_count && i < SCAN_FORMATS)
        result->format_count++;
    else if (i == SCAN_FORMATS)
        i--;
    for (; i > outside; i--)
        result->formats[i] = result->formats[i - 1];
    result->formats[outside] = format;
}

bool scan_unpack_budget(struct scan *scan, uint64_t bytes)
{
    if (bytes > LIMIT_UNPACKED - scan->unpacked)
        return false;
    scan->unpacked += bytes;
    return true;
}

/* Reads the ends of `source` into the arena and shows them in `view`. False: the scan failed. */
static bool view_open(struct scan *scan, const struct source *source, struct bid_view *view)
{
    size_t head_length = source->size < SCAN_HEAD ? (size_t)source->size : SCAN_HEAD;
    size_t tail_length = source->size < SCAN_TAIL ? (size_t)source->size : SCAN_TAIL;
    unsigned char *ends = arena_take(scan->arena, head_length + tail_length + 1);
    ssize_t got;

    if (!ends) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    *view = (struct bid_view){.head = ends, .size = source->size};
    got = source_read(source, ends, head_length, 0);
    if (got < 0) {
        scan_failed(scan, SCAN_IO, (int)-got);
        return false;
    }
    view->head_length = (size_t)got;
    view->tail = ends + head_length;
    if (source->size <= head_length) {
        view->tail = ends + (view->head_length > tail_length ? view->head_length - tail_length : 0);
        view->tail_length = view->head_length < tail_length ? view->head_length : tail_length;
        return true;
    }
    if (source->streamed)
        return true;
    got = source_read(source, ends + head_length, tail_length, source->size - tail_length);
    if (got < 0) {
        scan_failed(scan, SCAN_IO, (int)-got);
        return false;
    }
    view->tail_length = (size_t)got;
    return true;
}

/* A zip's end record may lie further in than a view shows. Members of archives are read from where the archive says. */
static bool zip_bids_far(struct scan *scan, const struct source *source, unsigned bids)
{
    bool worth = source == &scan->request->source && (bids || scan->request->thorough);

    return worth && source->size > SCAN_TAIL && zip_has_end(scan, source, bids != 0);
}

/* The formats that bid for `source`, as bits of `formats`. */
static unsigned source_bids(struct scan *scan, const struct source *source, unsigned *config)
{
    struct arena_mark mark = arena_mark(scan->arena);
    struct bid_view view;
    unsigned bids = 0;
    size_t i;

    *config = 0;
    if (view_open(scan, source, &view) && view.head_length) {
        for (i = 0; i < FORMAT_COUNT; i++)
            if (formats[i]->bid(&view) >= BID_RUN)
                bids |= 1u << i;
        *config = text_begins(view.head, view.head_length);
        if (!(bids & FORMAT_ZIP) && zip_bids_far(scan, source, bids))
            bids |= FORMAT_ZIP;
    }
    arena_release(scan->arena, mark);
    return bids;
}

static bool bids_run(struct scan *scan, const struct source *source, unsigned bids)
{
    bool any = false;
    size_t i;

    for (i = 0; i < FORMAT_COUNT && !scan->stopped; i++) {
        struct arena_mark mark = arena_mark(scan->arena);

        if (bids & 1u << i && formats[i]->run(scan, source))
            any = true;
        arena_release(scan->arena, mark);
    }
    return any;
}

const char *scan_member_inside(struct scan *scan, const char *inner)
{
    size_t outer_length = scan->member ? strlen(scan->member) + 1 : 0;
    size_t inner_length = strlen(inner);
    char *member;

    if (inner_length == 0)
        return scan->member;
    if (inner_length > LIMIT_NAME)
        inner_length = LIMIT_NAME;
    member = arena_take(scan->arena, outer_length + inner_length + 1);
    if (!member)
        return scan->member;
    if (outer_length) {
        memcpy(member, scan->member, outer_length - 1);
        member[outer_length - 1] = '!';
    }
    memcpy(member + outer_length, inner, inner_length);
    return member;
}

bool scan_nested(struct scan *scan, const struct source *source, const char *member)
{
    struct arena_mark mark = arena_mark(scan->arena);
    const char *outer = scan->member;
    bool model = scan->model, any = false;
    unsigned config, bids;

    if (scan->stopped)
        return false;
    bids = source_bids(scan, source, &config);
    if (bids) {
        scan->member = scan_member_inside(scan, member);
        if (scan->depth + 1 >= LIMIT_NESTING) {
            any = true;
            if (model)
                scan_opaque(scan, "nested", "nesting-limit", 0,
                            "archives or pickles nested deeper than any real model");
        } else {
            scan->depth++;
            any = bids_run(scan, source, bids);
            scan->depth--;
        }
    }
    scan->member = outer;
    scan->model = model;
    arena_release(scan->arena, mark);
    return any;
}

void scan_run(const struct scan_request *request, struct scan_result *result)
{
    struct arena arena;
    struct scan scan = {.request = request, .result = result, .arena = &arena};
    unsigned bids, config;
    bool any;

    *result = (struct scan_result){.status = SCAN_DONE};
    arena_open(&arena, &request->memory);
    bids = source_bids(&scan, &request->source, &config);
    any = bids_run(&scan, &request->source, bids);
    if (!scan.stopped && scan_named(request->path) && !scan_was(result, "saved-model") &&
        saved_model_named(&scan, &request->source))
        any = true;
    if (!scan.stopped && config && request->in_model_root && request->path &&
        config_run(&scan, &request->source, request->path))
        any = true;
    if (!scan.stopped && request->beside && request->path && beside_run(&scan, &request->source, request->path)) {
        result->beside = !any;
        any = true;
    }
    if (!scan.stopped)
        result->status = any ? SCAN_DONE : SCAN_NOT_MODEL;
    arena_close(&arena);
}
