#include "inflate.h"

#include <errno.h>
#include <string.h>

#define INPUT_SIZE (16u << 10)
/* History that is kept, and as much new output: moving the history costs less than inflating what follows it. */
#define OUTPUT_SIZE (2 * INFLATE_HISTORY)

/* zlib's state (7 KB) and its window (32 KB and a little). The window is asked for only while inflating, when the arena
 * may be at a mark that a nested format will release: so all of it is taken at the start. */
#define STATE_SIZE (48u << 10)

static voidpf stream_take(voidpf context, uInt items, uInt size)
{
    struct inflater *inflater = context;
    size_t bytes = ((size_t)items * size + 15) & ~(size_t)15;
    if (bytes > STATE_SIZE - inflater->state_used)
        return NULL;
    unsigned char *taken = inflater->state + inflater->state_used;
    inflater->state_used += bytes;
    return taken;
}

static void stream_give(voidpf context, voidpf memory)
{
    /* The arena is released as a whole. */
    (void)context;
    (void)memory;
}

static int window_bits(enum inflate_wrap wrap)
{
    /* zlib.h: negative for raw deflate, plus 16 for gzip only. */
    switch (wrap) {
    case INFLATE_RAW:
        return -MAX_WBITS;
    case INFLATE_GZIP:
        return MAX_WBITS + 16;
    default:
        return MAX_WBITS;
    }
}

static void stream_restart(struct inflater *inflater)
{
    inflater->next = inflater->start;
    inflater->stream.avail_in = 0;
    inflater->output_length = 0;
    inflater->output_start = 0;
    inflater->end = INFLATE_OPEN;
    inflateReset(&inflater->stream);
}

bool inflate_open(struct inflater *inflater, struct scan *scan, const struct source *packed, uint64_t start, uint64_t stop,
                  enum inflate_wrap wrap)
{
    memset(inflater, 0, sizeof *inflater);
    inflater->scan = scan;
    inflater->packed = packed;
    inflater->start = start;
    inflater->stop = stop;
    inflater->wrap = wrap;
    inflater->state = arena_take(scan->arena, STATE_SIZE);
    inflater->input = arena_take(scan->arena, INPUT_SIZE);
    inflater->output = arena_take(scan->arena, OUTPUT_SIZE);
    inflater->stream.zalloc = stream_take;
    inflater->stream.zfree = stream_give;
    inflater->stream.opaque = inflater;
    if (!inflater->state || !inflater->input || !inflater->output || inflateInit2(&inflater->stream, window_bits(wrap)) != Z_OK) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    stream_restart(inflater);
    return true;
}

/* Makes sure that there is input. False at the end of the packed bytes or on a failed read. */
static bool input_fill(struct inflater *inflater)
{
    if (inflater->stream.avail_in > 0)
        return true;
    uint64_t left = inflater->stop - inflater->next;
    size_t want = left < INPUT_SIZE ? (size_t)left : INPUT_SIZE;
    ssize_t got = want > 0 ? source_read(inflater->packed, inflater->input, want, inflater->next) : 0;
    if (got < 0)
        inflater->error = (int)-got;
    if (got <= 0)
        return false;
    inflater->next += (uint64_t)got;
    inflater->stream.next_in = inflater->input;
    inflater->stream.avail_in = (uInt)got;
    return true;
}

/* After one gzip member: is there another? Python's gzip module skips zero bytes and then wants the magic. */
static bool gzip_continue(struct inflater *inflater)
{
    while (input_fill(inflater) && *inflater->stream.next_in == 0) {
        inflater->stream.next_in++;
        inflater->stream.avail_in--;
    }
    if (inflater->error || inflater->stream.avail_in == 0 || *inflater->stream.next_in != 0x1f)
        return false;
    return inflateReset(&inflater->stream) == Z_OK;
}

static void stream_ended(struct inflater *inflater)
{
    if (inflater->wrap == INFLATE_GZIP && gzip_continue(inflater))
        return;
    if (!inflater->error)
        inflater->end = INFLATE_COMPLETE;
}

/* Room for new output: the newest INFLATE_HISTORY bytes are kept. */
static void output_make_room(struct inflater *inflater)
{
    if (inflater->output_length < OUTPUT_SIZE)
        return;
    size_t drop = OUTPUT_SIZE - INFLATE_HISTORY;
    memmove(inflater->output, inflater->output + drop, INFLATE_HISTORY);
    inflater->output_length = INFLATE_HISTORY;
    inflater->output_start += drop;
}

/* Inflates some more into the output. Leaves it as it is at the end, whatever the end is. */
static void output_grow(struct inflater *inflater)
{
    if (!input_fill(inflater)) {
        if (!inflater->error)
            inflater->end = INFLATE_TRUNCATED;
        return;
    }
    output_make_room(inflater);
    size_t room = OUTPUT_SIZE - inflater->output_length;
    if (inflater->stream.total_out == 0 && room > SCAN_HEAD)
        room = SCAN_HEAD; /* most members are done with after their head */
    inflater->stream.next_out = inflater->output + inflater->output_length;
    inflater->stream.avail_out = (uInt)room;
    int status = inflate(&inflater->stream, Z_NO_FLUSH);
    size_t made = room - inflater->stream.avail_out;
    if (!scan_inflate_budget(inflater->scan, made)) {
        inflater->end = INFLATE_LIMITED;
        return;
    }
    inflater->output_length += made;
    if (status == Z_STREAM_END)
        stream_ended(inflater);
    else if (status == Z_MEM_ERROR)
        scan_failed(inflater->scan, SCAN_MEMORY, 0);
    else if (status != Z_OK && status != Z_BUF_ERROR)
        inflater->end = INFLATE_DAMAGED;
}

/* Makes the output hold the byte at `offset`, if there is one. Returns how many bytes there are from it on, 0 at the end. */
static size_t output_reach(struct inflater *inflater, uint64_t offset)
{
    if (offset < inflater->output_start) {
        if (inflater->restarts++ >= INFLATE_RESTARTS) {
            inflater->end = INFLATE_LIMITED;
            return 0;
        }
        stream_restart(inflater);
    }
    while (offset - inflater->output_start >= inflater->output_length) {
        if (inflater->end != INFLATE_OPEN || inflater->error || inflater->scan->stopped)
            return 0;
        output_grow(inflater);
    }
    return inflater->output_length - (size_t)(offset - inflater->output_start);
}

static ssize_t inflate_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct inflater *inflater = context;
    unsigned char *to = buffer;
    size_t done = 0;
    while (done < length && offset <= UINT64_MAX - done) {
        size_t ready = output_reach(inflater, offset + done);
        if (ready == 0)
            break;
        size_t part = length - done < ready ? length - done : ready;
        memcpy(to + done, inflater->output + (offset + done - inflater->output_start), part);
        done += part;
    }
    return done == 0 && inflater->error ? -inflater->error : (ssize_t)done;
}

struct source inflate_source(struct inflater *inflater, uint64_t size)
{
    return (struct source){.pread = inflate_pread, .context = inflater, .size = size, .streamed = true};
}

bool inflate_gave_up(const struct inflater *inflater)
{
    bool read_on = inflater->output_start > 0 || inflater->restarts > 0;
    return inflater->end == INFLATE_LIMITED && read_on;
}

void inflate_report_end(const struct inflater *inflater, const char *format)
{
    uint64_t packed = inflater->next - inflater->stream.avail_in - inflater->start;
    if (inflater->end == INFLATE_LIMITED)
        scan_opaque(inflater->scan, format, "inflate-limit", packed, "more compressed data than are inspected");
    else if (inflater->end == INFLATE_DAMAGED)
        scan_malformed(inflater->scan, format, "deflate-damaged", packed, "the compressed data are damaged");
    else if (inflater->end == INFLATE_TRUNCATED)
        scan_malformed(inflater->scan, format, "deflate-truncated", packed, "the compressed data end too early");
}
