#include "unpack.h"

#include <string.h>

#define WINDOW_SIZE (2 * UNPACK_BLOCK)

bool unpack_open(struct unpacker *unpacker, struct scan *scan, const struct source *packed, uint64_t start,
                 uint64_t stop, const struct codec *codec)
{
    memset(unpacker, 0, sizeof *unpacker);
    unpacker->scan = scan;
    unpacker->packed = packed;
    unpacker->start = start;
    unpacker->stop = stop;
    unpacker->codec = codec;
    unpacker->mark_distance = UNPACK_MARK_DISTANCE;
    unpacker->state = codec->arena_memory ? arena_take(scan->arena, codec->arena_memory) : NULL;
    unpacker->front.input = arena_take(scan->arena, UNPACK_INPUT);
    unpacker->window = arena_take(scan->arena, WINDOW_SIZE);
    if ((codec->arena_memory && !unpacker->state) || !unpacker->front.input || !unpacker->window) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    unpack_cursor_start(unpacker, &unpacker->front);
    return true;
}

static void mark_drop(struct unpacker *unpacker, struct unpack_mark *mark)
{
    if (mark->set)
        unpacker->codec->close(&mark->stream);
    mark->set = false;
}

void unpack_close(struct unpacker *unpacker)
{
    unpack_cursor_close(unpacker, &unpacker->front);
    unpack_cursor_close(unpacker, &unpacker->back);
    unpack_give(unpacker, unpacker->back.input, UNPACK_INPUT);
    for (unsigned i = 0; unpacker->marks && i < UNPACK_MARKS; i++)
        mark_drop(unpacker, &unpacker->marks[i]);
    unpack_give(unpacker, unpacker->marks, UNPACK_MARKS * sizeof *unpacker->marks);
    for (unsigned i = 0; unpacker->blocks && i < UNPACK_BLOCKS; i++)
        unpack_give(unpacker, unpacker->blocks[i].bytes, UNPACK_BLOCK);
    unpack_give(unpacker, unpacker->blocks, UNPACK_BLOCKS * sizeof *unpacker->blocks);
}

/* The slot for block `number`: its own among the early ones, else the one with that number or, of those for fresh
 * blocks or of those for blocks fetched again, the one not used longest. NULL: no memory, and then nothing is kept. */
static struct unpack_block *block_slot(struct unpacker *unpacker, uint64_t number, bool again)
{
    if (!unpacker->blocks)
        unpacker->blocks = unpack_take(unpacker, UNPACK_BLOCKS * sizeof *unpacker->blocks);
    if (!unpacker->blocks)
        return NULL;
    if (number < UNPACK_EARLY)
        return &unpacker->blocks[number];
    unsigned first = again ? UNPACK_EARLY + UNPACK_LATE : UNPACK_EARLY;
    unsigned behind = again ? UNPACK_BLOCKS : UNPACK_EARLY + UNPACK_LATE;
    struct unpack_block *oldest = &unpacker->blocks[first];
    for (unsigned i = UNPACK_EARLY; i < UNPACK_BLOCKS; i++) {
        struct unpack_block *block = &unpacker->blocks[i];
        if (block->bytes && block->number == number)
            return block;
        if (i >= first && i < behind && block->used < oldest->used)
            oldest = block;
    }
    return oldest;
}

static bool block_holds(const struct unpack_block *block, uint64_t number)
{
    return block && block->bytes && block->number == number;
}

/* Makes `block` the place for `number`. False: no memory. */
static bool block_take(struct unpacker *unpacker, struct unpack_block *block, uint64_t number)
{
    if (!block->bytes)
        block->bytes = unpack_take(unpacker, UNPACK_BLOCK);
    if (!block->bytes)
        return false;
    block->number = number;
    block->used = ++unpacker->time;
    return true;
}

/* Every second mark goes, counted from the first. */
static void marks_thin(struct unpacker *unpacker)
{
    struct unpack_mark *marks = unpacker->marks;
    bool drop[UNPACK_MARKS];
    for (unsigned i = 0; i < UNPACK_MARKS; i++) {
        unsigned before = 0;
        for (unsigned j = 0; j < UNPACK_MARKS; j++)
            before += marks[j].position < marks[i].position;
        drop[i] = before % 2 == 0;
    }
    for (unsigned i = 0; i < UNPACK_MARKS; i++)
        if (drop[i])
            mark_drop(unpacker, &marks[i]);
    unpacker->mark_distance *= 2;
}

static struct unpack_mark *mark_free(struct unpacker *unpacker)
{
    for (unsigned i = 0; i < UNPACK_MARKS; i++)
        if (!unpacker->marks[i].set)
            return &unpacker->marks[i];
    return NULL;
}

/* Keeps the front's state, to go on from here another time. Without memory there is a mark less. */
static void mark_set(struct unpacker *unpacker)
{
    const struct codec *codec = unpacker->codec;
    struct unpack_cursor *front = &unpacker->front;
    if (!codec->copy || !front->ready)
        return;
    if (!unpacker->marks)
        unpacker->marks = unpack_take(unpacker, UNPACK_MARKS * sizeof *unpacker->marks);
    if (!unpacker->marks)
        return;
    unpacker->mark_last = front->position;
    struct unpack_mark *mark = mark_free(unpacker);
    if (!mark) {
        marks_thin(unpacker);
        mark = mark_free(unpacker);
    }
    if (!mark)
        return;
    mark->stream = (struct codec_stream){.owner = unpacker};
    mark->set = codec->copy(&mark->stream, &front->stream);
    mark->next = front->next - front->stream.input_left;
    mark->position = front->position;
}

/* Unpacks some more at the front. The older half of a full window becomes a block. */
static void front_grow(struct unpacker *unpacker)
{
    struct unpack_cursor *front = &unpacker->front;
    size_t length = (size_t)(front->position - unpacker->window_start);
    if (length == WINDOW_SIZE) {
        uint64_t number = unpacker->window_start / UNPACK_BLOCK;
        struct unpack_block *block = block_slot(unpacker, number, false);
        if (block && block_take(unpacker, block, number))
            memcpy(block->bytes, unpacker->window, UNPACK_BLOCK);
        memcpy(unpacker->window, unpacker->window + UNPACK_BLOCK, UNPACK_BLOCK);
        unpacker->window_start += UNPACK_BLOCK;
        length -= UNPACK_BLOCK;
        if (front->position - unpacker->mark_last >= unpacker->mark_distance)
            mark_set(unpacker);
    }
    /* Most members of archives are done with after their head. */
    size_t room = front->position == 0 ? SCAN_HEAD : WINDOW_SIZE - length;
    unpack_cursor_step(unpacker, front, unpacker->window + length, room);
}

/* Brings the second cursor to a place from which to reach `position`, which lies behind the front. */
static bool back_start(struct unpacker *unpacker, uint64_t position)
{
    struct unpack_cursor *back = &unpacker->back;
    struct unpack_mark *best = NULL;
    for (unsigned i = 0; unpacker->marks && i < UNPACK_MARKS; i++) {
        struct unpack_mark *mark = &unpacker->marks[i];
        if (mark->set && mark->position <= position && (!best || mark->position > best->position))
            best = mark;
    }
    if (back->input && back->end == UNPACK_OPEN && back->position <= position &&
        (!best || best->position <= back->position))
        return true;
    if (!back->input)
        back->input = unpack_take(unpacker, UNPACK_INPUT);
    if (!back->input)
        return false;
    unpack_cursor_start(unpacker, back);
    if (!best)
        return true;
    back->ready = unpacker->codec->copy(&back->stream, &best->stream);
    back->full = true;
    back->next = best->next;
    back->position = best->position;
    return back->ready;
}

/* Block `number`, unpacked again if it must be. NULL: the limit, a failed read or no memory, which fail more
 * than this. */
static const unsigned char *block_get(struct unpacker *unpacker, uint64_t number)
{
    struct unpack_cursor *back = &unpacker->back;
    struct unpack_block *block = block_slot(unpacker, number, true);
    if (block_holds(block, number)) {
        block->used = ++unpacker->time;
        return block->bytes;
    }
    uint64_t start = number * UNPACK_BLOCK;
    if (!block || !block_take(unpacker, block, number) || !back_start(unpacker, start)) {
        scan_failed(unpacker->scan, SCAN_MEMORY, 0);
        return NULL;
    }
    block->number = UINT64_MAX; /* until it is filled */
    while (back->position < start + UNPACK_BLOCK && !unpack_cursor_stuck(unpacker, back)) {
        /* What comes before the block is unpacked into it as well, and overwritten. */
        uint64_t at = back->position < start ? 0 : back->position - start;
        uint64_t room = back->position < start ? start - back->position : UNPACK_BLOCK - at;
        unpack_cursor_step(unpacker, back, block->bytes + at, room < UNPACK_BLOCK ? (size_t)room : UNPACK_BLOCK);
    }
    if (back->position < start + UNPACK_BLOCK) {
        unpacker->front.end = back->end; /* the limit, or packed bytes that have changed */
        return NULL;
    }
    block->number = number;
    return block->bytes;
}

/* The unpacked bytes from `offset` on, as far as they are in one piece; 0 at the end. */
static size_t bytes_reach(struct unpacker *unpacker, uint64_t offset, const unsigned char **bytes)
{
    if (offset < unpacker->window_start) {
        size_t at = (size_t)(offset % UNPACK_BLOCK);
        const unsigned char *block = block_get(unpacker, offset / UNPACK_BLOCK);
        *bytes = block + (block ? at : 0);
        return block ? UNPACK_BLOCK - at : 0;
    }
    while (offset >= unpacker->front.position) {
        if (unpack_cursor_stuck(unpacker, &unpacker->front))
            return 0;
        front_grow(unpacker);
    }
    *bytes = unpacker->window + (offset - unpacker->window_start);
    return (size_t)(unpacker->front.position - offset);
}

static ssize_t unpack_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct unpacker *unpacker = context;
    unsigned char *to = buffer;
    size_t done = 0;
    while (done < length && offset <= UINT64_MAX - done) {
        const unsigned char *bytes;
        size_t ready = bytes_reach(unpacker, offset + done, &bytes);
        if (ready == 0)
            break;
        size_t part = length - done < ready ? length - done : ready;
        memcpy(to + done, bytes, part);
        done += part;
    }
    return done == 0 && unpacker->error ? -unpacker->error : (ssize_t)done;
}

struct source unpack_source(struct unpacker *unpacker, uint64_t size)
{
    return (struct source){.pread = unpack_pread, .context = unpacker, .size = size, .streamed = true};
}

bool unpack_gave_up(const struct unpacker *unpacker)
{
    return unpacker->front.end == UNPACK_LIMITED && unpacker->window_start > 0;
}

void unpack_report_end(const struct unpacker *unpacker, const char *format)
{
    const struct unpack_cursor *front = &unpacker->front;
    uint64_t packed = front->next - front->stream.input_left - unpacker->start;
    if (front->end == UNPACK_LIMITED)
        scan_opaque(unpacker->scan, format, "unpack-limit", packed, "more compressed data than are inspected");
    else if (front->end == UNPACK_DAMAGED)
        scan_malformed(unpacker->scan, format, "packed-damaged", packed, "the compressed data are damaged");
    else if (front->end == UNPACK_TRUNCATED)
        scan_malformed(unpacker->scan, format, "packed-truncated", packed, "the compressed data end too early");
}

bool unpack_run(struct scan *scan, const struct source *source, uint64_t start, const struct codec *codec,
                const char *format)
{
    struct unpacker unpacker;
    size_t outside = scan->result->format_count;
    if (!unpack_open(&unpacker, scan, source, start, source->size, codec))
        return false;
    struct source content = unpack_source(&unpacker, SOURCE_SIZE_UNKNOWN);
    bool found = scan_nested(scan, &content, "") || unpack_gave_up(&unpacker);
    if (found) {
        scan_is_around(scan, format, outside);
        unpack_report_end(&unpacker, format);
    }
    unpack_close(&unpacker);
    return found;
}
