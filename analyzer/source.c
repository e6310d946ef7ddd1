#include "source.h"

#include <string.h>

static ssize_t memory_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct source_memory *memory = context;

    if (offset >= memory->length)
        return 0;
    if (length > memory->length - (size_t)offset)
        length = memory->length - (size_t)offset;
    memcpy(buffer, memory->data + (size_t)offset, length);
    return (ssize_t)length;
}

struct source source_from_memory(struct source_memory *memory)
{
    return (struct source){.pread = memory_pread, .context = memory, .size = memory->length};
}

static ssize_t slice_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct source_slice *slice = context;

    return slice->whole->pread(slice->whole->context, buffer, length, slice->start + offset);
}

struct source source_from_slice(struct source_slice *slice, uint64_t length)
{
    uint64_t size = slice->whole->size;

    if (slice->start > size)
        slice->start = size;
    if (length > size - slice->start)
        length = size - slice->start;
    return (struct source){.pread = slice_pread, .context = slice, .size = length,
                           .streamed = slice->whole->streamed};
}

ssize_t source_read(const struct source *source, void *buffer, size_t length, uint64_t offset)
{
    size_t done = 0;

    if (offset >= source->size)
        return 0;
    if (length > source->size - offset)
        length = (size_t)(source->size - offset);
    while (done < length) {
        ssize_t got = source->pread(source->context, (unsigned char *)buffer + done, length - done, offset + done);

        if (got < 0)
            return got;
        if (got == 0)
            break;
        if ((size_t)got > length - done)
            break; /* a broken callback must not carry us past the buffer */
        done += (size_t)got;
    }
    return (ssize_t)done;
}
