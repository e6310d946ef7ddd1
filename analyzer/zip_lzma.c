/* LZMA in zips (method 14): four bytes and the properties, then the stream. In front of the stream a header as lzma
 * files have it makes one of it.
 *
 * Facts: APPNOTE.TXT 5.8; CPython's zipfile.py (LZMADecompressor). */
#include "zip.h"

#include <string.h>

/* Version of the SDK, size of the properties, the properties: five bytes in every version there was. */
#define IN_ZIP 9u

static ssize_t lzma_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct zip_lzma *lzma = context;
    if (offset < sizeof lzma->header) {
        size_t left = sizeof lzma->header - (size_t)offset;
        if (length > left)
            length = left;
        memcpy(buffer, lzma->header + offset, length);
        return (ssize_t)length;
    }
    return lzma->packed->pread(lzma->packed->context, buffer, length, lzma->start + (offset - sizeof lzma->header));
}

bool zip_lzma_open(struct zip_lzma *lzma, const struct source *packed, uint64_t start, uint64_t stop, uint64_t unpacked)
{
    unsigned char head[IN_ZIP];
    if (stop - start < sizeof head || source_read(packed, head, sizeof head, start) != (ssize_t)sizeof head ||
        load_le16(head + 2) != 5)
        return false;
    *lzma = (struct zip_lzma){.packed = packed, .start = start + sizeof head};
    memcpy(lzma->header, head + 4, 5);
    for (unsigned i = 0; i < 8; i++)
        lzma->header[5 + i] = (unsigned char)(unpacked >> 8 * i);
    lzma->source = (struct source){.pread = lzma_pread, .context = lzma, .streamed = packed->streamed,
                                   .size = sizeof lzma->header + (stop - start - sizeof head)};
    return true;
}
