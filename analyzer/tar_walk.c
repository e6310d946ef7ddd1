#include "tar.h"

#include <string.h>

bool tar_checksum_ok(const unsigned char header[TAR_BLOCK])
{
    uint64_t stated = 0;
    uint32_t plain = 0;
    int32_t with_sign = 0;
    size_t i = 148, digits = 0;
    while (i < 156 && header[i] == ' ')
        i++;
    for (; i < 156 && header[i] >= '0' && header[i] <= '7'; i++, digits++)
        stated = stated * 8 + (uint64_t)(header[i] - '0');
    if (digits == 0 || (i < 156 && header[i] != 0 && header[i] != ' '))
        return false;
    for (i = 0; i < TAR_BLOCK; i++) {
        unsigned char byte = i >= 148 && i < 156 ? ' ' : header[i];
        plain += byte;
        with_sign += (signed char)byte;
    }
    return stated == plain || (with_sign > 0 && stated == (uint64_t)with_sign);
}

/* A number field: octal text, or base 256 behind a byte of 0x80 (0xff: negative, which no size is). */
static bool field_number(const unsigned char *field, size_t length, uint64_t *value)
{
    size_t i = 0;
    *value = 0;
    if (field[0] == 0x80) {
        for (i = 1; i < length; i++) {
            if (*value >> 56)
                return false;
            *value = *value << 8 | field[i];
        }
        return true;
    }
    while (i < length && field[i] == ' ')
        i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++)
        *value = *value << 3 | (uint64_t)(field[i] - '0');
    return i == length || field[i] == 0 || field[i] == ' ';
}

bool tar_walk_open(struct tar_walk *walk, struct scan *scan, const struct source *source)
{
    *walk = (struct tar_walk){.scan = scan, .source = source, .name = arena_take(scan->arena, LIMIT_NAME + 1)};
    if (!walk->name)
        scan_failed(scan, SCAN_MEMORY, 0);
    return walk->name != NULL;
}

static void name_set(struct tar_walk *walk, const unsigned char *text, size_t length)
{
    const unsigned char *nul = memchr(text, 0, length);
    if (nul)
        length = (size_t)(nul - text);
    if (length > LIMIT_NAME)
        length = LIMIT_NAME;
    memcpy(walk->name, text, length);
    walk->name[length] = 0;
}

/* The name in the header itself: ustar's prefix, a slash, the name. */
static void name_from_header(struct tar_walk *walk, const unsigned char header[TAR_BLOCK])
{
    unsigned char whole[155 + 1 + 100];
    size_t length = 0;
    if (memcmp(header + 257, "ustar", 6) == 0 && header[345]) {
        const unsigned char *nul = memchr(header + 345, 0, 155);
        length = nul ? (size_t)(nul - (header + 345)) : 155;
        memcpy(whole, header + 345, length);
        whole[length++] = '/';
    }
    memcpy(whole + length, header, 100);
    name_set(walk, whole, length + 100);
}

/* One pax record, "LENGTH KEY=VALUE\n". Only the path and the size change what is read where. */
static void pax_record(struct tar_walk *walk, const unsigned char *key, const unsigned char *stop)
{
    if (stop - key > 5 && memcmp(key, "path=", 5) == 0) {
        name_set(walk, key + 5, (size_t)(stop - key) - 5);
        walk->name_given = true;
    } else if (stop - key > 5 && memcmp(key, "size=", 5) == 0) {
        uint64_t value = 0;
        for (key += 5; key < stop && *key >= '0' && *key <= '9'; key++)
            if (__builtin_mul_overflow(value, 10u, &value) ||
                __builtin_add_overflow(value, (unsigned)(*key - '0'), &value))
                return;
        walk->size = value;
        walk->size_given = key == stop;
    }
}

static void pax_read(struct tar_walk *walk, const unsigned char *text, size_t length)
{
    const unsigned char *stop = text + length;
    while (text < stop && *text >= '1' && *text <= '9') {
        const unsigned char *record = text;
        size_t size = 0;
        for (; text < stop && *text >= '0' && *text <= '9' && size < LIMIT_WINDOW; text++)
            size = size * 10 + (size_t)(*text - '0');
        if (text == stop || *text != ' ' || size > (size_t)(stop - record) || record + size <= text + 1 ||
            record[size - 1] != '\n')
            return;
        pax_record(walk, text + 1, record + size - 1);
        text = record + size;
    }
}

/* A header that describes the next member: GNU's long name ('L'), pax ('x'; 'g' for all that follow, where a path or
 * size makes no sense and tarfile still takes it: it is treated as one for the next). */
static bool describe(struct tar_walk *walk, unsigned char type, uint64_t data, uint64_t size)
{
    struct arena_mark mark = arena_mark(walk->scan->arena);
    size_t want = size < LIMIT_WINDOW ? (size_t)size : LIMIT_WINDOW;
    unsigned char *text = arena_take(walk->scan->arena, want + 1);
    if (!text) {
        scan_failed(walk->scan, SCAN_MEMORY, 0);
        return false;
    }
    ssize_t got = source_read(walk->source, text, want, data);
    if (got < 0)
        scan_failed(walk->scan, SCAN_IO, (int)-got);
    if (got > 0 && type == 'L') {
        name_set(walk, text, (size_t)got);
        walk->name_given = true;
    } else if (got > 0 && type != 'K') {
        pax_read(walk, text, (size_t)got);
    }
    arena_release(walk->scan->arena, mark);
    return got >= 0;
}

/* Links, devices and folders have no data, whatever their size says. Types that nobody knows are files to tarfile. */
static bool type_has_data(unsigned char type)
{
    return !(type >= '1' && type <= '6');
}

/* Reads the header at walk->offset. False at the end. */
static bool header_read(struct tar_walk *walk, unsigned char header[TAR_BLOCK], uint64_t *size)
{
    ssize_t got = source_read(walk->source, header, TAR_BLOCK, walk->offset);
    if (got < 0)
        scan_failed(walk->scan, SCAN_IO, (int)-got);
    if (got != (ssize_t)TAR_BLOCK) {
        walk->damaged = got > 0;
        return false;
    }
    if (!tar_checksum_ok(header) || !field_number(header + 124, 12, size)) {
        /* A block of zeros is the end; its checksum field is empty. */
        for (size_t i = 0; i < TAR_BLOCK; i++)
            walk->damaged |= header[i] != 0;
        return false;
    }
    return true;
}

bool tar_walk_next(struct tar_walk *walk, struct tar_member *member)
{
    unsigned char header[TAR_BLOCK];
    uint64_t size, padded;
    walk->name_given = walk->size_given = false;
    while (!walk->scan->stopped && walk->seen < LIMIT_MEMBERS && header_read(walk, header, &size)) {
        unsigned char type = header[156];
        uint64_t data = walk->offset + TAR_BLOCK;
        bool describes = type == 'L' || type == 'K' || type == 'x' || type == 'g' || type == 'X';
        if (!describes && walk->size_given)
            size = walk->size;
        if (!describes && !type_has_data(type))
            size = 0;
        if (__builtin_add_overflow(size, TAR_BLOCK - 1, &padded) ||
            __builtin_add_overflow(data, padded & ~(uint64_t)(TAR_BLOCK - 1), &walk->offset)) {
            walk->damaged = true;
            return false;
        }
        walk->seen++;
        if (describes) {
            if (!describe(walk, type, data, size))
                return false;
            continue;
        }
        if (!walk->name_given)
            name_from_header(walk, header);
        *member = (struct tar_member){walk->name, data, size};
        return true;
    }
    return false;
}
