/* Gzip (RFC 1952). What is inside counts; a gzip of anything else is none of ours. */
#include "unpack.h"

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
    return unpack_run(scan, source, 0, &codec_gzip, "gzip");
}

const struct format format_gzip = {"gzip", gzip_bid, gzip_run};
