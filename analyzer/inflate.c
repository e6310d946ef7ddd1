#include "inflate.h"

#include <string.h>

#define INPUT_SIZE (16u << 10)
#define WINDOW_SIZE (2 * INFLATE_BLOCK)
/* zlib's state (7 KB) and its window (32 KB and a little). The window is asked for only while inflating, when the arena
 * may be at a mark that a nested format will release: so all of it is taken at the start. */
#define STATE_SIZE (48u << 10)

/* Memory beyond the front's comes from the scan's memory directly, because it is taken while nested formats run. */
static void *heap_take(struct inflater *inflater, size_t bytes)
{
    const struct scan_memory *memory = &inflater->scan->request->memory;
    return memory->take(memory->context, bytes);
}

static void heap_give(struct inflater *inflater, void *pointer, size_t bytes)
{
    const struct scan_memory *memory = &inflater->scan->request->memory;
    if (pointer)
        memory->give(memory->context, pointer, bytes);
}

/* zlib does not tell sizes when it gives back: they stand in front. */
#define SIZE_ROOM 16u

static voidpf stream_take(voidpf context, uInt items, uInt size)
{
    struct inflater *inflater = context;
    size_t bytes = ((size_t)items * size + SIZE_ROOM - 1) & ~(size_t)(SIZE_ROOM - 1);
    if (inflater->state && bytes <= STATE_SIZE - inflater->state_used) {
        unsigned char *taken = inflater->state + inflater->state_used;
        inflater->state_used += bytes;
        return taken;
    }
    unsigned char *taken = heap_take(inflater, bytes + SIZE_ROOM);
    if (!taken)
        return NULL;
    memcpy(taken, &bytes, sizeof bytes);
    return taken + SIZE_ROOM;
}

static void stream_give(voidpf context, voidpf memory)
{
    struct inflater *inflater = context;
    unsigned char *taken = memory;
    size_t bytes;
    if (inflater->state && taken >= inflater->state && taken < inflater->state + STATE_SIZE)
        return;
    memcpy(&bytes, taken - SIZE_ROOM, sizeof bytes);
    heap_give(inflater, taken - SIZE_ROOM, bytes + SIZE_ROOM);
}

static bool cursor_open(struct inflater *inflater, struct inflate_cursor *cursor)
{
    /* zlib.h: negative for raw deflate, plus 16 for gzip only. */
    static const int window_bits[] = {[INFLATE_RAW] = -MAX_WBITS, [INFLATE_ZLIB] = MAX_WBITS, [INFLATE_GZIP] = MAX_WBITS + 16};
    cursor->stream = (z_stream){.zalloc = stream_take, .zfree = stream_give, .opaque = inflater};
    cursor->next = inflater->start;
    cursor->position = 0;
    cursor->end = INFLATE_OPEN;
    cursor->ready = inflateInit2(&cursor->stream, window_bits[inflater->wrap]) == Z_OK;
    return cursor->ready;
}

static void cursor_close(struct inflate_cursor *cursor)
{
    if (cursor->ready)
        inflateEnd(&cursor->stream);
    cursor->ready = false;
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
    inflater->mark_distance = INFLATE_MARK_DISTANCE;
    inflater->state = arena_take(scan->arena, STATE_SIZE);
    inflater->front.input = arena_take(scan->arena, INPUT_SIZE);
    inflater->window = arena_take(scan->arena, WINDOW_SIZE);
    if (!inflater->state || !inflater->front.input || !inflater->window || !cursor_open(inflater, &inflater->front)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    return true;
}

static void mark_drop(struct inflate_mark *mark)
{
    if (mark->set)
        inflateEnd(&mark->stream);
    mark->set = false;
}

void inflate_close(struct inflater *inflater)
{
    cursor_close(&inflater->front);
    cursor_close(&inflater->back);
    heap_give(inflater, inflater->back.input, INPUT_SIZE);
    for (unsigned i = 0; inflater->marks && i < INFLATE_MARKS; i++)
        mark_drop(&inflater->marks[i]);
    heap_give(inflater, inflater->marks, INFLATE_MARKS * sizeof *inflater->marks);
    for (unsigned i = 0; inflater->blocks && i < INFLATE_EARLY + INFLATE_LATE; i++)
        heap_give(inflater, inflater->blocks[i].bytes, INFLATE_BLOCK);
    heap_give(inflater, inflater->blocks, (INFLATE_EARLY + INFLATE_LATE) * sizeof *inflater->blocks);
}

/* Makes sure that there is input. False at the end of the packed bytes or on a failed read. */
static bool input_fill(struct inflater *inflater, struct inflate_cursor *cursor)
{
    if (cursor->stream.avail_in > 0)
        return true;
    uint64_t left = inflater->stop - cursor->next;
    size_t want = left < INPUT_SIZE ? (size_t)left : INPUT_SIZE;
    ssize_t got = want > 0 ? source_read(inflater->packed, cursor->input, want, cursor->next) : 0;
    if (got < 0)
        inflater->error = (int)-got;
    if (got <= 0)
        return false;
    cursor->next += (uint64_t)got;
    cursor->stream.next_in = cursor->input;
    cursor->stream.avail_in = (uInt)got;
    return true;
}

/* After one gzip member: is there another? Python's gzip module skips zero bytes and then wants the magic. */
static bool gzip_continue(struct inflater *inflater, struct inflate_cursor *cursor)
{
    while (input_fill(inflater, cursor) && *cursor->stream.next_in == 0) {
        cursor->stream.next_in++;
        cursor->stream.avail_in--;
    }
    if (inflater->error || cursor->stream.avail_in == 0 || *cursor->stream.next_in != 0x1f)
        return false;
    return inflateReset(&cursor->stream) == Z_OK;
}

/* Inflates up to `room` bytes; fewer only where there is progress without output, or at the end, whatever the end is. */
static size_t cursor_inflate(struct inflater *inflater, struct inflate_cursor *cursor, unsigned char *output, size_t room)
{
    if (cursor->end != INFLATE_OPEN || inflater->error || inflater->scan->stopped)
        return 0;
    if (!input_fill(inflater, cursor)) {
        if (!inflater->error)
            cursor->end = INFLATE_TRUNCATED;
        return 0;
    }
    cursor->stream.next_out = output;
    cursor->stream.avail_out = (uInt)room;
    int status = inflate(&cursor->stream, Z_NO_FLUSH);
    size_t made = room - cursor->stream.avail_out;
    if (!scan_inflate_budget(inflater->scan, made)) {
        cursor->end = INFLATE_LIMITED;
        return 0;
    }
    cursor->position += made;
    if (status == Z_STREAM_END) {
        bool more = inflater->wrap == INFLATE_GZIP && gzip_continue(inflater, cursor);
        if (!more && !inflater->error)
            cursor->end = INFLATE_COMPLETE;
    } else if (status == Z_MEM_ERROR) {
        scan_failed(inflater->scan, SCAN_MEMORY, 0);
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
        cursor->end = INFLATE_DAMAGED;
    }
    return made;
}

static bool cursor_stuck(const struct inflater *inflater, const struct inflate_cursor *cursor)
{
    return cursor->end != INFLATE_OPEN || inflater->error || inflater->scan->stopped;
}

/* The slot for block `number`: its own among the early ones, else the one with that number or the one not used longest.
 * NULL: no memory, and then nothing is kept. */
static struct inflate_block *block_slot(struct inflater *inflater, uint64_t number)
{
    if (!inflater->blocks)
        inflater->blocks = heap_take(inflater, (INFLATE_EARLY + INFLATE_LATE) * sizeof *inflater->blocks);
    if (!inflater->blocks)
        return NULL;
    if (number < INFLATE_EARLY)
        return &inflater->blocks[number];
    struct inflate_block *late = inflater->blocks + INFLATE_EARLY, *oldest = late;
    for (unsigned i = 0; i < INFLATE_LATE; i++) {
        if (late[i].bytes && late[i].number == number)
            return &late[i];
        if (late[i].used < oldest->used)
            oldest = &late[i];
    }
    return oldest;
}

static bool block_holds(const struct inflate_block *block, uint64_t number)
{
    return block && block->bytes && block->number == number;
}

/* Makes `block` the place for `number`. False: no memory. */
static bool block_take(struct inflater *inflater, struct inflate_block *block, uint64_t number)
{
    if (!block->bytes)
        block->bytes = heap_take(inflater, INFLATE_BLOCK);
    if (!block->bytes)
        return false;
    block->number = number;
    block->used = ++inflater->time;
    return true;
}

/* Every second mark goes, counted from the first. */
static void marks_thin(struct inflater *inflater)
{
    struct inflate_mark *marks = inflater->marks;
    bool drop[INFLATE_MARKS];
    for (unsigned i = 0; i < INFLATE_MARKS; i++) {
        unsigned before = 0;
        for (unsigned j = 0; j < INFLATE_MARKS; j++)
            before += marks[j].position < marks[i].position;
        drop[i] = before % 2 == 0;
    }
    for (unsigned i = 0; i < INFLATE_MARKS; i++)
        if (drop[i])
            mark_drop(&marks[i]);
    inflater->mark_distance *= 2;
}

static struct inflate_mark *mark_free(struct inflater *inflater)
{
    for (unsigned i = 0; i < INFLATE_MARKS; i++)
        if (!inflater->marks[i].set)
            return &inflater->marks[i];
    return NULL;
}

/* Keeps the front's state, to go on from here another time. Without memory there is a mark less. */
static void mark_set(struct inflater *inflater)
{
    if (!inflater->marks)
        inflater->marks = heap_take(inflater, INFLATE_MARKS * sizeof *inflater->marks);
    if (!inflater->marks)
        return;
    inflater->mark_last = inflater->front.position;
    struct inflate_mark *mark = mark_free(inflater);
    if (!mark) {
        marks_thin(inflater);
        mark = mark_free(inflater);
    }
    if (!mark || inflateCopy(&mark->stream, &inflater->front.stream) != Z_OK)
        return;
    mark->set = true;
    mark->next = inflater->front.next - inflater->front.stream.avail_in;
    mark->position = inflater->front.position;
}

/* Inflates some more at the front. The older half of a full window becomes a block. */
static void front_grow(struct inflater *inflater)
{
    struct inflate_cursor *front = &inflater->front;
    size_t length = (size_t)(front->position - inflater->window_start);
    if (length == WINDOW_SIZE) {
        uint64_t number = inflater->window_start / INFLATE_BLOCK;
        struct inflate_block *block = block_slot(inflater, number);
        if (block && block_take(inflater, block, number))
            memcpy(block->bytes, inflater->window, INFLATE_BLOCK);
        memcpy(inflater->window, inflater->window + INFLATE_BLOCK, INFLATE_BLOCK);
        inflater->window_start += INFLATE_BLOCK;
        length -= INFLATE_BLOCK;
        if (front->position - inflater->mark_last >= inflater->mark_distance)
            mark_set(inflater);
    }
    /* Most members of archives are done with after their head. */
    size_t room = front->position == 0 ? SCAN_HEAD : WINDOW_SIZE - length;
    cursor_inflate(inflater, front, inflater->window + length, room);
}

/* Brings the second cursor to a place from which to reach `position`, which lies behind the front. */
static bool back_start(struct inflater *inflater, uint64_t position)
{
    struct inflate_cursor *back = &inflater->back;
    struct inflate_mark *best = NULL;
    for (unsigned i = 0; inflater->marks && i < INFLATE_MARKS; i++) {
        struct inflate_mark *mark = &inflater->marks[i];
        if (mark->set && mark->position <= position && (!best || mark->position > best->position))
            best = mark;
    }
    if (back->ready && back->end == INFLATE_OPEN && back->position <= position && (!best || best->position <= back->position))
        return true;
    cursor_close(back);
    if (!back->input)
        back->input = heap_take(inflater, INPUT_SIZE);
    if (!back->input)
        return false;
    if (!best)
        return cursor_open(inflater, back);
    back->ready = inflateCopy(&back->stream, &best->stream) == Z_OK;
    back->stream.avail_in = 0;
    back->next = best->next;
    back->position = best->position;
    back->end = INFLATE_OPEN;
    return back->ready;
}

/* Block `number`, inflated again if it must be. NULL: the limit, a failed read or no memory, which fail more than this. */
static const unsigned char *block_get(struct inflater *inflater, uint64_t number)
{
    struct inflate_cursor *back = &inflater->back;
    struct inflate_block *block = block_slot(inflater, number);
    if (block_holds(block, number)) {
        block->used = ++inflater->time;
        return block->bytes;
    }
    uint64_t start = number * INFLATE_BLOCK;
    if (!block || !block_take(inflater, block, number) || !back_start(inflater, start)) {
        scan_failed(inflater->scan, SCAN_MEMORY, 0);
        return NULL;
    }
    block->number = UINT64_MAX; /* until it is filled */
    while (back->position < start + INFLATE_BLOCK && !cursor_stuck(inflater, back)) {
        /* What comes before the block is inflated into it as well, and overwritten. */
        uint64_t at = back->position < start ? 0 : back->position - start;
        uint64_t room = back->position < start ? start - back->position : INFLATE_BLOCK - at;
        cursor_inflate(inflater, back, block->bytes + at, room < INFLATE_BLOCK ? (size_t)room : INFLATE_BLOCK);
    }
    if (back->position < start + INFLATE_BLOCK) {
        inflater->front.end = back->end; /* the limit, or packed bytes that have changed */
        return NULL;
    }
    block->number = number;
    return block->bytes;
}

/* The inflated bytes from `offset` on, as far as they are in one piece; 0 at the end. */
static size_t bytes_reach(struct inflater *inflater, uint64_t offset, const unsigned char **bytes)
{
    if (offset < inflater->window_start) {
        size_t at = (size_t)(offset % INFLATE_BLOCK);
        const unsigned char *block = block_get(inflater, offset / INFLATE_BLOCK);
        *bytes = block + (block ? at : 0);
        return block ? INFLATE_BLOCK - at : 0;
    }
    while (offset >= inflater->front.position) {
        if (cursor_stuck(inflater, &inflater->front))
            return 0;
        front_grow(inflater);
    }
    *bytes = inflater->window + (offset - inflater->window_start);
    return (size_t)(inflater->front.position - offset);
}

static ssize_t inflate_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct inflater *inflater = context;
    unsigned char *to = buffer;
    size_t done = 0;
    while (done < length && offset <= UINT64_MAX - done) {
        const unsigned char *bytes;
        size_t ready = bytes_reach(inflater, offset + done, &bytes);
        if (ready == 0)
            break;
        size_t part = length - done < ready ? length - done : ready;
        memcpy(to + done, bytes, part);
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
    return inflater->front.end == INFLATE_LIMITED && inflater->window_start > 0;
}

void inflate_report_end(const struct inflater *inflater, const char *format)
{
    const struct inflate_cursor *front = &inflater->front;
    uint64_t packed = front->next - front->stream.avail_in - inflater->start;
    if (front->end == INFLATE_LIMITED)
        scan_opaque(inflater->scan, format, "inflate-limit", packed, "more compressed data than are inspected");
    else if (front->end == INFLATE_DAMAGED)
        scan_malformed(inflater->scan, format, "deflate-damaged", packed, "the compressed data are damaged");
    else if (front->end == INFLATE_TRUNCATED)
        scan_malformed(inflater->scan, format, "deflate-truncated", packed, "the compressed data end too early");
}
