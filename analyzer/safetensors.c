/* Safetensors: recognised, because it is a model; it carries no code. Facts: the safetensors README: 8 bytes with the
 * header's length, at most 100 MB, then a JSON object padded with spaces, then raw tensors. */
#include "reader.h"

#define HEADER_MAX 100000000u

static bool header_begins(const unsigned char *head, size_t length, uint64_t size)
{
    if (length < 10 || size < 10)
        return false;
    uint64_t header = load_le64(head);
    return header >= 2 && header <= HEADER_MAX && header <= size - 8 && head[8] == '{' &&
           (head[9] == '"' || head[9] == '}' || head[9] == ' ' || head[9] == '\n');
}

static unsigned safetensors_bid(const struct bid_view *view)
{
    return header_begins(view->head, view->head_length, view->size) ? 40 : 0;
}

static bool safetensors_run(struct scan *scan, const struct source *source)
{
    unsigned char head[10], tail[64];
    if (source_read(source, head, sizeof head, 0) != (ssize_t)sizeof head ||
        !header_begins(head, sizeof head, source->size))
        return false;
    uint64_t stop = 8 + load_le64(head);
    size_t want = stop - 9 < sizeof tail ? (size_t)(stop - 9) : sizeof tail;
    ssize_t got = source_read(source, tail, want, stop - want);
    if (got != (ssize_t)want)
        return false;
    while (got > 0 && tail[got - 1] == ' ')
        got--;
    /* Padding is to a multiple of 8; anything else than the end of an object is another format's length and text. */
    if (got == 0 || tail[got - 1] != '}')
        return false;
    scan_is(scan, "safetensors");
    return true;
}

const struct format format_safetensors = {"safetensors", safetensors_bid, safetensors_run};
