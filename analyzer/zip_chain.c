/* Archives in a row: a .distcp of torch.distributed.checkpoint holds every tensor and object of one process, each
 * written by torch.save behind the one before. They are read as slices of the file, each of which is an archive like
 * any other.
 *
 * Facts: torch/distributed/checkpoint/filesystem.py (_write_item, read_data); torch.save calls the archive "archive"
 * where it is given no path. */
#include "zip.h"

#include <string.h>

#define LOCAL_SIZE 30u /* local header without its variable parts */

/* Does an archive that torch.save wrote to no path begin at `start`? */
static bool link_begins(const struct source *source, uint64_t start)
{
    static const char folder[] = "archive/";
    unsigned char head[LOCAL_SIZE + sizeof folder - 1];
    return source_read(source, head, sizeof head, start) == (ssize_t)sizeof head && memcmp(head, "PK\3\4", 4) == 0 &&
           memcmp(head + LOCAL_SIZE, folder, sizeof folder - 1) == 0;
}

uint64_t zip_chain_next(const struct source *source, uint64_t stop)
{
    struct zip_reading reading;
    if (zip_reading_before(source, stop, &reading) && reading.base < stop && link_begins(source, reading.base))
        return reading.base;
    return stop;
}

/* miniz, which makes up for nothing, goes to where the last directory says that it is, from the beginning of the file
 * on. There is nothing, or the first archive's directory if the two have the same sizes; elsewhere it would read what
 * no link of the chain holds. */
static bool miniz_reads_first(const struct source *source, const struct zip_reading *last, uint64_t first_stop)
{
    struct zip_reading first;
    unsigned char magic[4];
    uint64_t stated = last->directory - last->base;
    if (source_read(source, magic, sizeof magic, stated) != (ssize_t)sizeof magic || memcmp(magic, "PK\1\2", 4) != 0)
        return true;
    return zip_reading_before(source, first_stop, &first) && first.directory == stated && first.length == last->length;
}

bool zip_chain_is(const struct source *source)
{
    struct zip_reading last;
    if (source->streamed || !link_begins(source, 0) || !zip_reading_before(source, source->size, &last))
        return false;
    uint64_t stop = source->size, links = 0;
    while (links++ < LIMIT_MEMBERS) {
        uint64_t start = zip_chain_next(source, stop);
        if (start == 0)
            return links > 1 && miniz_reads_first(source, &last, stop);
        if (start == stop)
            return false;
        stop = start;
    }
    return false;
}
