/* A zlib stream (RFC 1950), which is what joblib.dump(compress=...) writes, bare or, before joblib 0.10, behind a
 * header of its own. Facts: joblib/numpy_pickle_utils.py (_detect_compressor), joblib/numpy_pickle_compat.py
 * (read_zfile). */
#include "unpack.h"

#include <string.h>

/* "ZF", then the length as hex() gives it, padded to 19; a reader skips one more byte if that is a space. */
#define ZFILE_HEADER 21u

static bool zlib_begins(const unsigned char *head)
{
    /* joblib wants a window of 32 KB; then deflate, a check sum over both bytes, and no preset dictionary. */
    return head[0] == 0x78 && (head[0] << 8 | head[1]) % 31 == 0 && (head[1] & 0x20) == 0;
}

static size_t zlib_start(const unsigned char *head, size_t length)
{
    size_t start = 0;
    if (length > ZFILE_HEADER + 3 && memcmp(head, "ZF0x", 4) == 0)
        start = head[ZFILE_HEADER] == ' ' ? ZFILE_HEADER + 1 : ZFILE_HEADER;
    return length >= start + 3 && zlib_begins(head + start) ? start : SIZE_MAX;
}

static unsigned zlib_bid(const struct bid_view *view)
{
    size_t start = zlib_start(view->head, view->head_length);
    if (start == SIZE_MAX)
        return 0;
    /* The first block's type: 3 does not exist. */
    return (view->head[start + 2] & 6) == 6 ? 0 : 14;
}

static bool zlib_run(struct scan *scan, const struct source *source)
{
    unsigned char head[ZFILE_HEADER + 4];
    ssize_t got = source_read(source, head, sizeof head, 0);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    size_t start = got > 0 ? zlib_start(head, (size_t)got) : SIZE_MAX;
    return start != SIZE_MAX && unpack_run(scan, source, start, &codec_zlib, "zlib");
}

const struct format format_zlib = {"zlib", zlib_bid, zlib_run};
