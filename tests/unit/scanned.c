#include "scanned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const unsigned char pickle_calls[] = "\x80\x02" "cos\nsystem\n" "X\4\0\0\0true" "\x85R.";
const size_t pickle_calls_length = sizeof pickle_calls - 1;

struct watched {
    const unsigned char *data;
    size_t size, split;
    uint64_t hole;
    uint64_t bytes_read;
    size_t taken, peak;
    struct scanned *scanned;
};

static unsigned char watched_byte(const struct watched *watched, uint64_t offset)
{
    if (offset < watched->split)
        return watched->data[offset];
    offset -= watched->split;
    return offset < watched->hole ? 0 : watched->data[watched->split + (offset - watched->hole)];
}

static ssize_t watched_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct watched *watched = context;
    uint64_t size = watched->size + watched->hole;
    if (offset >= size)
        return 0;
    if (length > size - offset)
        length = (size_t)(size - offset);
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)buffer)[i] = watched_byte(watched, offset + i);
    watched->bytes_read += length;
    return (ssize_t)length;
}

static void *watched_take(void *context, size_t bytes)
{
    struct watched *watched = context;
    watched->taken += bytes;
    if (watched->taken > watched->peak)
        watched->peak = watched->taken;
    return calloc(1, bytes);
}

static void watched_give(void *context, void *pointer, size_t bytes)
{
    struct watched *watched = context;
    watched->taken -= bytes;
    free(pointer);
}

static enum scan_answer watched_sink(void *context, const struct effect *effect)
{
    struct scanned *scanned = ((struct watched *)context)->scanned;
    size_t used = strlen(scanned->text), room = sizeof scanned->text - used;
    int length = snprintf(scanned->text + used, room, "%s %s [%s] %s\n", effect_kind_name(effect->kind),
                          effect->name ? effect->name : "-", effect->format, effect->member ? effect->member : "-");
    if (length < 0 || (size_t)length >= room)
        scanned->text[used] = 0;
    return SCAN_GO_ON;
}

void scan_hollow(const void *data, size_t size, size_t split, uint64_t hole, struct scanned *scanned)
{
    struct watched watched = {.data = data, .size = size, .split = split, .hole = hole, .scanned = scanned};
    struct scan_request request = {
        .source = {.pread = watched_pread, .context = &watched, .size = size + hole},
        .memory = {watched_take, watched_give, &watched},
        .sink = watched_sink,
        .sink_context = &watched,
    };
    memset(scanned, 0, sizeof *scanned);
    scan_run(&request, &scanned->result);
    for (size_t i = 0; i < scanned->result.format_count; i++) {
        size_t used = strlen(scanned->formats);
        snprintf(scanned->formats + used, sizeof scanned->formats - used, "%s%s", i ? " " : "",
                 scanned->result.formats[i]);
    }
    scanned->bytes_read = watched.bytes_read;
    scanned->peak = watched.peak;
    scanned->kept = watched.taken;
}

void scan_bytes(const void *data, size_t size, struct scanned *scanned)
{
    scan_hollow(data, size, size, 0, scanned);
}

bool scanned_has(const struct scanned *scanned, const char *kind, const char *name, const char *member)
{
    char start[512], stop[512];
    snprintf(start, sizeof start, "%s %s%s", kind, name, *name ? " [" : "");
    snprintf(stop, sizeof stop, "] %s\n", member ? member : "");
    for (const char *line = scanned->text; *line;) {
        const char *next = strchr(line, '\n') + 1;
        size_t length = (size_t)(next - line), tail = strlen(stop);
        if (strncmp(line, start, strlen(start)) == 0 &&
            (!member || (length >= tail && memcmp(next - tail, stop, tail) == 0)))
            return true;
        line = next;
    }
    return false;
}

unsigned scanned_count(const struct scanned *scanned, const char *kind)
{
    unsigned count = 0;
    for (const char *line = scanned->text; *line; line = strchr(line, '\n') + 1)
        count += strncmp(line, kind, strlen(kind)) == 0;
    return count;
}

void built_add(struct built *built, const void *data, size_t length)
{
    if (built->length + length > built->room) {
        built->room = 2 * (built->length + length);
        built->data = realloc(built->data, built->room);
        if (!built->data)
            exit(2);
    }
    if (length)
        memcpy(built->data + built->length, data, length);
    built->length += length;
}

void built_le(struct built *built, unsigned width, uint64_t value)
{
    for (; width > 0; width--, value >>= 8)
        built_add(built, &(unsigned char){(unsigned char)value}, 1);
}

void built_text(struct built *built, const char *text)
{
    built_add(built, text, strlen(text));
}

void built_free(struct built *built)
{
    free(built->data);
    *built = (struct built){0};
}

void built_deflate(struct built *packed, const void *data, size_t length, int window_bits)
{
    z_stream stream = {0};
    unsigned char out[4096];
    if (deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        exit(2);
    unsigned char *copy = malloc(length + 1); /* zlib's next_in is not const */
    if (!copy)
        exit(2);
    memcpy(copy, data, length);
    stream.next_in = copy;
    stream.avail_in = (uInt)length;
    int status;
    do {
        stream.next_out = out;
        stream.avail_out = sizeof out;
        status = deflate(&stream, Z_FINISH);
        built_add(packed, out, sizeof out - stream.avail_out);
    } while (status == Z_OK);
    deflateEnd(&stream);
    free(copy);
}
