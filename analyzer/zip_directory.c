#include "zip.h"

#include <string.h>

#define END_SIZE 22u       /* end of central directory record */
#define END64_SIZE 56u     /* zip64 end record, without its extensible part */
#define LOCATOR_SIZE 20u   /* zip64 end locator, right before the end record */
#define CENTRAL_SIZE 46u   /* central header without its variable parts */
#define SEARCH_SIZE (END_SIZE + ZIP_FIELD_MAX) /* a comment has at most 65535 bytes */

static const unsigned char end_magic[4] = {'P', 'K', 5, 6};
static const unsigned char end64_magic[4] = {'P', 'K', 6, 6};
static const unsigned char locator_magic[4] = {'P', 'K', 6, 7};
static const unsigned char central_magic[4] = {'P', 'K', 1, 2};

struct search {
    const struct source *source;
    struct zip_reading *readings;
    unsigned count;
};

static bool has_magic(const struct source *source, uint64_t offset, const unsigned char magic[4])
{
    unsigned char bytes[4];
    return source_read(source, bytes, sizeof bytes, offset) == (ssize_t)sizeof bytes && memcmp(bytes, magic, 4) == 0;
}

/* Adds a reading unless it is known, leads nowhere, or there is no room (more than any end record can give). */
static void reading_add(struct search *search, struct zip_reading reading)
{
    uint64_t size = search->source->size;
    if (reading.directory > size || reading.length > size - reading.directory)
        return;
    bool empty = reading.length == 0 && reading.entries == 0;
    if (!empty && !has_magic(search->source, reading.directory, central_magic))
        return;
    for (unsigned i = 0; i < search->count; i++) {
        const struct zip_reading *known = &search->readings[i];
        if (known->directory == reading.directory && known->length == reading.length && known->base == reading.base)
            return;
    }
    if (search->count < ZIP_READINGS)
        search->readings[search->count++] = reading;
}

/* miniz goes to the stated offset; zipfile goes to where the directory must start if it ends at `stop`, and takes the
 * difference for bytes that were put in front. */
static void readings_from_fields(struct search *search, uint64_t offset, uint64_t length, uint64_t entries,
                                 uint64_t stop)
{
    if (length <= stop)
        reading_add(search, (struct zip_reading){stop - length, length, stop - length - offset, entries});
    reading_add(search, (struct zip_reading){offset, length, 0, entries});
}

static void readings_from_end64(struct search *search, uint64_t at)
{
    unsigned char record[END64_SIZE];
    if (source_read(search->source, record, sizeof record, at) != (ssize_t)sizeof record ||
        memcmp(record, end64_magic, 4) != 0)
        return;
    readings_from_fields(search, load_le64(record + 48), load_le64(record + 40), load_le64(record + 32), at);
}

/* The readings of the end record at `at`. Both zipfile and miniz prefer the zip64 record wherever there is a locator;
 * miniz at the offset it states, zipfile right before it. Others use it only for fields that are all ones. */
static void readings_from_end(struct search *search, const unsigned char end[END_SIZE], uint64_t at)
{
    unsigned char locator[LOCATOR_SIZE];
    uint64_t offset = load_le32(end + 16);
    uint64_t length = load_le32(end + 12);
    uint64_t stop = at; /* a directory ends before the zip64 records for whoever reads the plain fields, too */
    if (at >= LOCATOR_SIZE &&
        source_read(search->source, locator, sizeof locator, at - LOCATOR_SIZE) == (ssize_t)sizeof locator &&
        memcmp(locator, locator_magic, 4) == 0) {
        if (at >= LOCATOR_SIZE + END64_SIZE) {
            readings_from_end64(search, at - LOCATOR_SIZE - END64_SIZE);
            if (has_magic(search->source, at - LOCATOR_SIZE - END64_SIZE, end64_magic))
                stop = at - LOCATOR_SIZE - END64_SIZE;
        }
        readings_from_end64(search, load_le64(locator + 8));
    }
    if (offset != UINT32_MAX && length != UINT32_MAX)
        readings_from_fields(search, offset, length, load_le16(end + 10), stop);
}

/* Earlier end records count where the last one's directory or comment would hold them; before the directory they are
 * members' data (a stored zip inside the zip) or an archive in front, which no reader by directory looks at. */
static void find_earlier_ends(struct search *search, const unsigned char *tail, uint64_t tail_start, size_t last,
                              unsigned *faults)
{
    uint64_t lowest = UINT64_MAX;
    for (unsigned i = 0; i < search->count; i++)
        if (search->readings[i].directory < lowest)
            lowest = search->readings[i].directory;
    for (size_t i = last; i-- > 0 && tail_start + i >= lowest;) {
        if (memcmp(tail + i, end_magic, 4) != 0)
            continue;
        unsigned before = search->count;
        readings_from_end(search, tail + i, tail_start + i);
        if (search->count > before)
            *faults |= ZIP_FAULT_ENDS;
    }
}

/* The last end record in `tail`, or SIZE_MAX. */
static size_t end_find(const unsigned char *tail, size_t length)
{
    for (size_t i = length < END_SIZE ? 0 : length - END_SIZE + 1; i-- > 0;)
        if (tail[i] == 'P' && memcmp(tail + i, end_magic, 4) == 0)
            return i;
    return SIZE_MAX;
}

/* The last bytes, in which readers look for end records; NULL and no bytes on failure. To be released by the caller. */
static unsigned char *tail_read(struct scan *scan, const struct source *source, uint64_t *start, size_t *length)
{
    unsigned char *tail = arena_take(scan->arena, SEARCH_SIZE);
    *start = source->size > SEARCH_SIZE ? source->size - SEARCH_SIZE : 0;
    *length = 0;
    if (!tail) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return NULL;
    }
    ssize_t got = source_read(source, tail, SEARCH_SIZE, *start);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    *length = got > 0 ? (size_t)got : 0;
    return tail;
}

bool zip_has_end(struct scan *scan, const struct source *source, bool fits)
{
    struct arena_mark mark = arena_mark(scan->arena);
    uint64_t start;
    size_t length;
    const unsigned char *tail = tail_read(scan, source, &start, &length);
    size_t last = tail ? end_find(tail, length) : SIZE_MAX;
    bool found = last != SIZE_MAX && (!fits || length - last == END_SIZE + load_le16(tail + last + 20));
    arena_release(scan->arena, mark);
    return found;
}

unsigned zip_find_readings(struct scan *scan, const struct source *source, struct zip_reading readings[ZIP_READINGS],
                           unsigned *faults)
{
    struct search search = {source, readings, 0};
    struct arena_mark mark = arena_mark(scan->arena);
    uint64_t start;
    size_t length;
    const unsigned char *tail = tail_read(scan, source, &start, &length);
    size_t last = tail ? end_find(tail, length) : SIZE_MAX;
    if (last != SIZE_MAX) {
        readings_from_end(&search, tail + last, start + last);
        if (search.count > 1)
            *faults |= ZIP_FAULT_DIRECTORIES;
        find_earlier_ends(&search, tail, start, last, faults);
    }
    arena_release(scan->arena, mark);
    return search.count;
}

bool zip_reading_before(const struct source *source, uint64_t stop, struct zip_reading *reading)
{
    unsigned char end[END_SIZE];
    struct zip_reading readings[ZIP_READINGS];
    struct source_slice slice = {source, 0};
    struct source front = source_from_slice(&slice, stop);
    struct search search = {&front, readings, 0};
    if (stop < END_SIZE || source_read(&front, end, sizeof end, stop - END_SIZE) != (ssize_t)sizeof end ||
        memcmp(end, end_magic, 4) != 0 || load_le16(end + 20) != 0)
        return false;
    readings_from_end(&search, end, stop - END_SIZE);
    if (search.count > 0)
        *reading = readings[0]; /* those of zipfile come first */
    return search.count > 0;
}

static ssize_t spool_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct zip_spool *spool = context;
    if (offset < spool->start) {
        if (length > spool->start - offset)
            length = (size_t)(spool->start - offset);
        return spool->whole->pread(spool->whole->context, buffer, length, offset);
    }
    if (offset - spool->start >= spool->length)
        return 0;
    size_t at = (size_t)(offset - spool->start);
    if (length > spool->length - at)
        length = spool->length - at;
    memcpy(buffer, spool->bytes + at, length);
    return (ssize_t)length;
}

struct source zip_spool_source(struct zip_spool *spool, struct scan *scan, const struct source *source,
                               const struct zip_reading *readings, unsigned count)
{
    *spool = (struct zip_spool){.whole = source, .start = source->size};
    for (unsigned i = 0; i < count; i++)
        if (readings[i].directory < spool->start)
            spool->start = readings[i].directory;
    uint64_t length = source->size - spool->start;
    if (!source->streamed || length > ZIP_SPOOL_MAX)
        return *source;
    spool->bytes = arena_take(scan->arena, (size_t)length + 1);
    if (!spool->bytes)
        return *source;
    ssize_t got = source_read(source, spool->bytes, (size_t)length, spool->start);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    spool->length = got > 0 ? (size_t)got : 0;
    return (struct source){.pread = spool_pread, .context = spool, .size = source->size, .streamed = true};
}

bool zip_walk_open(struct zip_walk *walk, struct scan *scan, const struct source *source,
                   const struct zip_reading *reading)
{
    memset(walk, 0, sizeof *walk);
    walk->base = reading->base;
    walk->name = arena_take(scan->arena, ZIP_FIELD_MAX);
    walk->extra = arena_take(scan->arena, ZIP_FIELD_MAX);
    if (!walk->name || !walk->extra ||
        !reader_open(&walk->reader, scan->arena, source, reading->directory, reading->directory + reading->length)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    return true;
}

/* The next field of an extra block: false at its end. Python stops there too, when a length runs over. */
static bool extra_next(const unsigned char **extra, size_t *length, uint16_t *tag, const unsigned char **data,
                       size_t *data_length)
{
    if (*length < 4)
        return false;
    *tag = load_le16(*extra);
    *data_length = load_le16(*extra + 2);
    if (*data_length > *length - 4)
        return false;
    *data = *extra + 4;
    *extra += 4 + *data_length;
    *length -= 4 + *data_length;
    return true;
}

static void take_wide(const unsigned char **data, size_t *length, uint64_t *value)
{
    if (!value || *value != UINT32_MAX || *length < 8)
        return;
    *value = load_le64(*data);
    *data += 8;
    *length -= 8;
}

void zip_extra_sizes(const unsigned char *extra, size_t length, uint64_t *unpacked, uint64_t *packed, uint64_t *header)
{
    const unsigned char *data;
    size_t data_length;
    uint16_t tag;
    while (extra_next(&extra, &length, &tag, &data, &data_length)) {
        if (tag != 1)
            continue;
        take_wide(&data, &data_length, unpacked);
        take_wide(&data, &data_length, packed);
        take_wide(&data, &data_length, header);
        return;
    }
}

/* Info-ZIP's Unicode path: version, CRC of the plain name, then the name that counts. */
static bool extra_renames(const struct zip_entry *entry, const unsigned char *extra, size_t length)
{
    const unsigned char *data;
    size_t data_length;
    uint16_t tag;
    while (extra_next(&extra, &length, &tag, &data, &data_length)) {
        if (tag == 0x7075 && data_length >= 5 &&
            (data_length - 5 != entry->name_length || memcmp(data + 5, entry->name, entry->name_length) != 0))
            return true;
    }
    return false;
}

bool zip_walk_next(struct zip_walk *walk, struct zip_entry *entry)
{
    unsigned char fixed[CENTRAL_SIZE];
    if (walk->reader.position >= walk->reader.end)
        return false;
    walk->damaged = true;
    if (!reader_bytes(&walk->reader, fixed, sizeof fixed) || memcmp(fixed, central_magic, 4) != 0)
        return false;
    size_t extra_length = load_le16(fixed + 30);
    entry->name = walk->name;
    entry->name_length = load_le16(fixed + 28);
    if (!reader_bytes(&walk->reader, walk->name, entry->name_length) ||
        !reader_bytes(&walk->reader, walk->extra, extra_length) ||
        !reader_skip(&walk->reader, load_le16(fixed + 32)))
        return false;
    entry->flags = load_le16(fixed + 8);
    entry->method = load_le16(fixed + 10);
    entry->crc = load_le32(fixed + 16);
    entry->packed = load_le32(fixed + 20);
    entry->unpacked = load_le32(fixed + 24);
    entry->header = load_le32(fixed + 42);
    zip_extra_sizes(walk->extra, extra_length, &entry->unpacked, &entry->packed, &entry->header);
    entry->header += walk->base;
    entry->renamed = extra_renames(entry, walk->extra, extra_length);
    walk->seen++;
    walk->damaged = false;
    return true;
}
