#include "unpack.h"

#include <string.h>

/* Memory beyond the front's comes from the scan's memory directly, because it is taken while nested formats run. */
void *unpack_take(struct unpacker *unpacker, size_t bytes)
{
    const struct scan_memory *memory = &unpacker->scan->request->memory;
    return memory->take(memory->context, bytes);
}

void unpack_give(struct unpacker *unpacker, void *pointer, size_t bytes)
{
    const struct scan_memory *memory = &unpacker->scan->request->memory;
    if (pointer)
        memory->give(memory->context, pointer, bytes);
}

/* Libraries do not tell sizes when they give back: they stand in front. */
#define SIZE_ROOM 16u

void *codec_take(struct codec_stream *stream, size_t bytes)
{
    struct unpacker *unpacker = stream->owner;
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + SIZE_ROOM - 1) & ~(size_t)(SIZE_ROOM - 1);
    if (unpacker->state && bytes <= unpacker->codec->arena_memory - unpacker->state_used) {
        unsigned char *taken = unpacker->state + unpacker->state_used;
        unpacker->state_used += bytes;
        return taken;
    }
    unsigned char *taken = unpack_take(unpacker, bytes + SIZE_ROOM);
    if (!taken) {
        unpacker->large |= bytes > LIMIT_UNPACK_MEMORY;
        return NULL;
    }
    memcpy(taken, &bytes, sizeof bytes);
    stream->taken += bytes;
    return taken + SIZE_ROOM;
}

void codec_give(struct codec_stream *stream, void *pointer)
{
    struct unpacker *unpacker = stream->owner;
    unsigned char *taken = pointer;
    size_t bytes;
    if (!taken ||
        (unpacker->state && taken >= unpacker->state && taken < unpacker->state + unpacker->codec->arena_memory))
        return;
    memcpy(&bytes, taken - SIZE_ROOM, sizeof bytes);
    stream->taken -= bytes < stream->taken ? bytes : stream->taken;
    unpack_give(unpacker, taken - SIZE_ROOM, bytes + SIZE_ROOM);
}

void unpack_cursor_close(struct unpacker *unpacker, struct unpack_cursor *cursor)
{
    if (cursor->ready)
        unpacker->codec->close(&cursor->stream);
    cursor->ready = false;
    unpacker->scan->unpack_memory -= cursor->touched;
    cursor->touched = 0;
}

/* Back to the start of the packed bytes. */
void unpack_cursor_start(struct unpacker *unpacker, struct unpack_cursor *cursor)
{
    unpack_cursor_close(unpacker, cursor);
    cursor->stream = (struct codec_stream){.owner = unpacker};
    cursor->full = false;
    cursor->next = unpacker->start;
    cursor->position = 0;
    cursor->end = UNPACK_OPEN;
}

/* Makes sure that there are `want` bytes of input, as far as there are any. False: there is none, or a read failed. */
static bool input_fill(struct unpacker *unpacker, struct unpack_cursor *cursor, size_t want)
{
    struct codec_stream *stream = &cursor->stream;
    if (stream->input_left >= want)
        return true;
    if (stream->input_left)
        memmove(cursor->input, stream->input, stream->input_left);
    stream->input = cursor->input;
    while (stream->input_left < want && cursor->next < unpacker->stop) {
        uint64_t left = unpacker->stop - cursor->next;
        size_t room = UNPACK_INPUT - stream->input_left;
        ssize_t got = source_read(unpacker->packed, cursor->input + stream->input_left,
                                  left < room ? (size_t)left : room, cursor->next);
        if (got < 0)
            unpacker->error = (int)-got;
        if (got <= 0)
            break;
        cursor->next += (uint64_t)got;
        stream->input_left += (size_t)got;
    }
    return stream->input_left > 0 && !unpacker->error;
}

/* What a step came to: true if it was CODEC_GOES_ON. Windows of a size that there is no memory for are past a limit,
 * too. */
static bool step_went(struct unpacker *unpacker, struct unpack_cursor *cursor, enum codec_step step)
{
    if (step == CODEC_DAMAGED)
        cursor->end = UNPACK_DAMAGED;
    else if (step == CODEC_NO_MEMORY)
        cursor->end = UNPACK_LIMITED;
    if (step == CODEC_NO_MEMORY && !unpacker->large)
        scan_failed(unpacker->scan, SCAN_MEMORY, 0);
    return step == CODEC_GOES_ON;
}

static bool cursor_open(struct unpacker *unpacker, struct unpack_cursor *cursor)
{
    struct codec_stream *stream = &cursor->stream;
    input_fill(unpacker, cursor, CODEC_HEAD);
    if (stream->input_left == 0 || unpacker->error)
        return false;
    size_t length = stream->input_left < CODEC_HEAD ? stream->input_left : CODEC_HEAD;
    cursor->ready = step_went(unpacker, cursor, unpacker->codec->open(stream, stream->input, length));
    return cursor->ready;
}

/* Behind the end of one stream: is there another? */
static bool cursor_go_on(struct unpacker *unpacker, struct unpack_cursor *cursor)
{
    const struct codec *codec = unpacker->codec;
    struct codec_stream *stream = &cursor->stream;
    if (!codec->begins)
        return false;
    while (codec->padded && input_fill(unpacker, cursor, 1) && *stream->input == 0) {
        size_t zeros = 0;
        while (zeros < stream->input_left && stream->input[zeros] == 0)
            zeros++;
        stream->input += zeros;
        stream->input_left -= zeros;
        if (!scan_unpack_budget(unpacker->scan, zeros))
            return false;
    }
    if (!input_fill(unpacker, cursor, CODEC_HEAD) || !codec->begins(stream->input, stream->input_left))
        return false;
    if (codec->reset)
        return step_went(unpacker, cursor, codec->reset(stream));
    codec->close(stream);
    cursor->ready = false;
    return true;
}

/* Counts what a step took in and gave out, and the memory that it can have touched. False: past a limit. */
static bool cursor_charge(struct unpacker *unpacker, struct unpack_cursor *cursor, size_t packed, size_t made)
{
    struct scan *scan = unpacker->scan;
    uint64_t touched = cursor->position + made < cursor->stream.taken ? cursor->position + made : cursor->stream.taken;
    if (touched > cursor->touched) {
        scan->unpack_memory += touched - cursor->touched;
        cursor->touched = touched;
    }
    return scan->unpack_memory <= LIMIT_UNPACK_MEMORY && scan_unpack_budget(scan, packed > made ? packed : made);
}

/* Unpacks up to `room` bytes; fewer only where there is progress without output, or at the end, whatever the end is. */
size_t unpack_cursor_step(struct unpacker *unpacker, struct unpack_cursor *cursor, unsigned char *output, size_t room)
{
    struct codec_stream *stream = &cursor->stream;
    if (cursor->end != UNPACK_OPEN || unpacker->error || unpacker->scan->stopped)
        return 0;
    bool input = input_fill(unpacker, cursor, 1);
    if (unpacker->error)
        return 0;
    if ((!input && !cursor->full) || (!cursor->ready && !cursor_open(unpacker, cursor))) {
        if (cursor->end == UNPACK_OPEN && !unpacker->error)
            cursor->end = UNPACK_TRUNCATED;
        return 0;
    }
    size_t before = stream->input_left;
    stream->output = output;
    stream->output_room = room;
    enum codec_step step = unpacker->codec->step(stream);
    size_t made = room - stream->output_room;
    cursor->full = made == room;
    if (!cursor_charge(unpacker, cursor, before - stream->input_left, made)) {
        cursor->end = UNPACK_LIMITED;
        return 0;
    }
    cursor->position += made;
    if (step == CODEC_ENDS) {
        cursor->full = false;
        if (!cursor_go_on(unpacker, cursor) && cursor->end == UNPACK_OPEN && !unpacker->error)
            cursor->end = UNPACK_COMPLETE;
    } else if (step_went(unpacker, cursor, step) && made == 0 && before == stream->input_left) {
        cursor->end = input ? UNPACK_DAMAGED : UNPACK_TRUNCATED;
    }
    return made;
}

bool unpack_cursor_stuck(const struct unpacker *unpacker, const struct unpack_cursor *cursor)
{
    return cursor->end != UNPACK_OPEN || unpacker->error || unpacker->scan->stopped;
}
