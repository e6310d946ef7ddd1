/* Gzip (RFC 1952). What is inside counts; a gzip of anything else is none of ours. */
#include "inflate.h"

#include <string.h>

static unsigned gzip_bid(const struct bid_view *view)
{
    /* Magic, the only method there is, and no reserved flag. */
    if (view->head_length >= 10 && memcmp(view->head, "\x1f\x8b\x08", 3) == 0 && (view->head[3] & 0xe0) == 0)
        return 27;
    return 0;
}

static bool gzip_run(struct scan *scan, const struct source *source)
{
    struct inflater inflater;
    size_t outside = scan->result->format_count;
    if (!inflate_open(&inflater, scan, source, 0, source->size, INFLATE_GZIP))
        return false;
    struct source content = inflate_source(&inflater, SOURCE_SIZE_UNKNOWN);
    bool found = scan_nested(scan, &content, "") || inflate_gave_up(&inflater);
    if (found) {
        scan_is_around(scan, "gzip", outside);
        inflate_report_end(&inflater, "gzip");
    }
    inflate_close(&inflater);
    return found;
}

const struct format format_gzip = {"gzip", gzip_bid, gzip_run};
