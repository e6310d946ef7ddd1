/* GGUF, the files of llama.cpp: header, key-value pairs and tensor descriptions. Tensors are never read.
 *
 * Facts: ggml's docs/gguf.md, gguf.cpp (gguf_init_from_file) and gguf-py's GGUFReader. Numbers have the byte order of
 * the machine that wrote the file, and only the version tells which it was. Version 1 counts in 32 bits, 2 and 3 in 64.
 * What a loader acts upon are chat templates (Jinja); base models are named for people and nobody follows them; the
 * siblings of a split model are opened under names of their own, and judged then. */
#include "reader.h"
#include "template.h"

#include <string.h>

#define FORMAT "gguf"

enum gguf_type {
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_TYPES = 13
};

/* Bytes of a value by its type; 0: not of fixed size. */
static const unsigned char value_sizes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* What the value under a key is. */
enum gguf_role { ROLE_NONE, ROLE_TEMPLATE, ROLE_SOURCE, ROLE_TEXT /* a template if it looks it */ };

struct gguf {
    struct scan *scan;
    struct reader reader;
    bool big_endian;
    bool narrow; /* counts and lengths have 32 bits */
    uint64_t *keys; /* hashes of the keys so far */
    size_t key_count;
    char key[LIMIT_FIELD]; /* its start; no key that means something is longer */
    size_t key_length;
    uint64_t key_offset;
    enum gguf_role role;
    bool damaged; /* said, or the source failed: nothing more can be read */
};

static uint32_t load_be32(const unsigned char bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The version, whichever the byte order; 0 when there is none. ggml tells the order in the same way. */
static uint32_t version_read(const unsigned char bytes[4], bool *big_endian)
{
    uint32_t version = load_le32(bytes);
    *big_endian = (version & 0xffff) == 0;
    if (*big_endian)
        version = load_be32(bytes);
    /* Versions count up from 1; text that begins with the four letters does not come near. */
    return version <= 0xff ? version : 0;
}

static unsigned gguf_bid(const struct bid_view *view)
{
    bool big_endian;
    if (view->head_length < 8 || memcmp(view->head, "GGUF", 4) != 0)
        return 0;
    return version_read(view->head + 4, &big_endian) ? 56 : 0;
}

static void damage(struct gguf *gguf, const char *token, uint64_t offset, const char *detail)
{
    if (gguf->damaged)
        return;
    gguf->damaged = true;
    if (gguf->reader.error)
        scan_failed(gguf->scan, SCAN_IO, gguf->reader.error);
    else
        scan_malformed(gguf->scan, FORMAT, token, offset, detail);
}

static void truncation(struct gguf *gguf)
{
    damage(gguf, "gguf-truncated", gguf->reader.position, "the file ends within its metadata");
}

static bool u32_read(struct gguf *gguf, uint32_t *value)
{
    unsigned char bytes[4];
    if (gguf->damaged || !reader_bytes(&gguf->reader, bytes, sizeof bytes)) {
        truncation(gguf);
        return false;
    }
    *value = gguf->big_endian ? load_be32(bytes) : load_le32(bytes);
    return true;
}

static bool u64_read(struct gguf *gguf, uint64_t *value)
{
    unsigned char bytes[8];
    if (gguf->damaged || !reader_bytes(&gguf->reader, bytes, sizeof bytes)) {
        truncation(gguf);
        return false;
    }
    *value = gguf->big_endian ? (uint64_t)load_be32(bytes) << 32 | load_be32(bytes + 4) : load_le64(bytes);
    return true;
}

/* A count or length. */
static bool size_read(struct gguf *gguf, uint64_t *value)
{
    uint32_t small;
    if (!gguf->narrow)
        return u64_read(gguf, value);
    if (!u32_read(gguf, &small))
        return false;
    *value = small;
    return true;
}

static bool skip(struct gguf *gguf, uint64_t length)
{
    if (!gguf->damaged && reader_skip(&gguf->reader, length))
        return true;
    truncation(gguf);
    return false;
}

/* Is there room for `count` things of at least `size` bytes each? Readers reserve memory by such counts, some of them
 * after a multiplication that wraps around. */
static bool count_fits(struct gguf *gguf, uint64_t count, uint64_t size)
{
    if (count <= (gguf->reader.end - gguf->reader.position) / size)
        return true;
    damage(gguf, "gguf-count", gguf->reader.position, "more is counted than the file has room for");
    return false;
}

/* Has so much been walked through that this is no model's metadata? */
static bool too_long(struct gguf *gguf)
{
    if (gguf->reader.position <= LIMIT_GGUF_METADATA)
        return false;
    if (!gguf->damaged)
        scan_opaque(gguf->scan, FORMAT, "gguf-size", gguf->reader.position, "metadata too large to be inspected");
    gguf->damaged = true;
    return true;
}

static void template_read(struct gguf *gguf, uint64_t length)
{
    struct template_scan template = {0};
    uint64_t offset = gguf->reader.position;
    while (length) {
        size_t got;
        const unsigned char *bytes = reader_rest(&gguf->reader, 1, &got);
        if (!bytes) {
            truncation(gguf);
            return;
        }
        if (got > length)
            got = (size_t)length;
        const char *found = template_scan(&template, (const char *)bytes, got);
        if (found) {
            struct argument argument = {.kind = ARGUMENT_STRING, .text = found};
            struct effect effect = {.kind = EFFECT_CODE, .name = template_effect(found), .arguments = &argument,
                                    .argument_count = 1, .argument_known = true, .field = gguf->key, .offset = offset,
                                    .detail = "the chat template reaches for what only an escape from it needs"};
            scan_report(gguf->scan, FORMAT, &effect);
            (void)skip(gguf, length);
            return;
        }
        (void)skip(gguf, got);
        length -= got;
    }
}

static void source_read_name(struct gguf *gguf, uint64_t length)
{
    char target[LIMIT_NAME];
    struct effect effect = {.kind = EFFECT_DEPEND, .name = target, .how = DEPEND_DECLARED, .field = gguf->key,
                            .offset = gguf->reader.position, .detail = "named for people; no loader follows it"};
    size_t kept = length < sizeof target ? (size_t)length : sizeof target - 1;
    if (!reader_bytes(&gguf->reader, target, kept)) {
        truncation(gguf);
        return;
    }
    target[kept] = '\0';
    if (target[0] != '\0')
        scan_report(gguf->scan, FORMAT, &effect);
    (void)skip(gguf, length - kept);
}

static void string_read(struct gguf *gguf)
{
    uint64_t length;
    if (!size_read(gguf, &length) || !count_fits(gguf, length, 1))
        return;
    switch (gguf->role) {
    case ROLE_TEMPLATE:
    case ROLE_TEXT:
        template_read(gguf, length);
        break;
    case ROLE_SOURCE:
        source_read_name(gguf, length);
        break;
    case ROLE_NONE:
        (void)skip(gguf, length);
        break;
    }
}

static void value_read(struct gguf *gguf, uint32_t type);

/* Reads an array, and those in it (ggml refuses them, gguf-py reads them), without recursion: `left` counts what is
 * still to come on each level. */
static void array_read(struct gguf *gguf)
{
    /* Vocabularies hold every kind of text. */
    if (gguf->role == ROLE_TEXT)
        gguf->role = ROLE_NONE;
    uint64_t left[LIMIT_GGUF_DEPTH];
    uint32_t types[LIMIT_GGUF_DEPTH];
    unsigned depth = 0;
    do {
        if (depth == 0 || types[depth - 1] == GGUF_ARRAY) {
            uint32_t type;
            uint64_t count;
            if (depth == LIMIT_GGUF_DEPTH) {
                damage(gguf, "gguf-depth", gguf->reader.position, "arrays nested deeper than in any model");
                return;
            }
            if (!u32_read(gguf, &type) || !size_read(gguf, &count))
                return;
            if (type >= GGUF_TYPES) {
                damage(gguf, "gguf-type", gguf->reader.position, "an array of values of no known type");
                return;
            }
            uint64_t least = type == GGUF_STRING ? (gguf->narrow ? 4 : 8) : type == GGUF_ARRAY ? 8 : value_sizes[type];
            if (!count_fits(gguf, count, least))
                return;
            if (value_sizes[type]) {
                (void)skip(gguf, count * value_sizes[type]);
                count = 0;
            }
            types[depth] = type;
            left[depth++] = count;
        } else {
            string_read(gguf);
        }
        while (depth && left[depth - 1] == 0)
            depth--;
        if (depth)
            left[depth - 1]--;
    } while (depth && !gguf->damaged && !gguf->scan->stopped && !too_long(gguf));
}

static void value_read(struct gguf *gguf, uint32_t type)
{
    if (type >= GGUF_TYPES)
        damage(gguf, "gguf-type", gguf->reader.position, "a value of no known type");
    else if (type == GGUF_STRING)
        string_read(gguf);
    else if (type == GGUF_ARRAY)
        array_read(gguf);
    else
        (void)skip(gguf, value_sizes[type]);
}

static bool key_ends(const struct gguf *gguf, const char *end)
{
    size_t length = strlen(end);
    return gguf->key_length >= length && memcmp(gguf->key + gguf->key_length - length, end, length) == 0;
}

static enum gguf_role key_role(const struct gguf *gguf)
{
    static const char base[] = "general.base_model.", source[] = "general.source.";
    if (strstr(gguf->key, "chat_template"))
        return ROLE_TEMPLATE;
    if (strncmp(gguf->key, base, sizeof base - 1) != 0 && strncmp(gguf->key, source, sizeof source - 1) != 0)
        return strncmp(gguf->key, "general.", 8) == 0 ? ROLE_NONE : ROLE_TEXT; /* the first are for people */
    /* Before there were repo_url, the hub's name stood under source.huggingface.repository. */
    return key_ends(gguf, ".repo_url") || key_ends(gguf, ".huggingface.repository") ? ROLE_SOURCE : ROLE_NONE;
}

/* ggml refuses a file with a key twice; before it did, it took the first, and other readers take the last. */
static void key_remember(struct gguf *gguf)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < gguf->key_length; i++)
        hash = (hash ^ (unsigned char)gguf->key[i]) * 1099511628211u;
    for (size_t i = 0; i < gguf->key_count; i++)
        if (gguf->keys[i] == hash) {
            scan_malformed(gguf->scan, FORMAT, "gguf-duplicate-key", gguf->key_offset, "a key stands twice");
            return;
        }
    if (gguf->key_count < LIMIT_GGUF_KEYS)
        gguf->keys[gguf->key_count++] = hash;
}

static bool key_read(struct gguf *gguf)
{
    uint64_t length;
    gguf->key_offset = gguf->reader.position;
    if (!size_read(gguf, &length) || !count_fits(gguf, length, 1))
        return false;
    gguf->key_length = length < sizeof gguf->key ? (size_t)length : sizeof gguf->key - 1;
    if (!reader_bytes(&gguf->reader, gguf->key, gguf->key_length)) {
        truncation(gguf);
        return false;
    }
    gguf->key[gguf->key_length] = '\0';
    gguf->role = key_role(gguf);
    if (gguf->key_length == length)
        key_remember(gguf);
    return skip(gguf, length - gguf->key_length);
}

static void pairs_read(struct gguf *gguf, uint64_t count)
{
    uint32_t type;
    if (!count_fits(gguf, count, gguf->narrow ? 9 : 13))
        return;
    while (count-- && !gguf->scan->stopped && !too_long(gguf)) {
        if (!key_read(gguf) || !u32_read(gguf, &type))
            return;
        value_read(gguf, type);
        if (gguf->damaged)
            return;
    }
}

/* The descriptions of tensors: only whether readers can make sense of them, since their products overflowed in some. */
static void tensors_read(struct gguf *gguf, uint64_t count)
{
    if (!count_fits(gguf, count, gguf->narrow ? 20 : 24))
        return;
    while (count-- && !gguf->damaged && !gguf->scan->stopped && !too_long(gguf)) {
        uint64_t length, product = 1, start = gguf->reader.position;
        uint32_t dimensions;
        if (!size_read(gguf, &length) || !count_fits(gguf, length, 1) || !skip(gguf, length) ||
            !u32_read(gguf, &dimensions) || !count_fits(gguf, dimensions, gguf->narrow ? 4 : 8))
            return;
        while (dimensions--) {
            uint64_t dimension;
            if (!size_read(gguf, &dimension))
                return;
            if (dimension && product > INT64_MAX / dimension) {
                damage(gguf, "gguf-tensor", start, "a tensor larger than any address");
                return;
            }
            product *= dimension;
        }
        if (!skip(gguf, 4 + 8)) /* element type, offset */
            return;
    }
}

static bool gguf_run(struct scan *scan, const struct source *source)
{
    struct gguf gguf = {.scan = scan};
    unsigned char head[8];
    uint64_t tensors, pairs;
    if (!reader_open(&gguf.reader, scan->arena, source, 0, source->size)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    if (!reader_bytes(&gguf.reader, head, sizeof head)) {
        if (gguf.reader.error)
            scan_failed(scan, SCAN_IO, gguf.reader.error);
        return false;
    }
    uint32_t version = version_read(head + 4, &gguf.big_endian);
    if (memcmp(head, "GGUF", 4) != 0 || version == 0)
        return false;
    scan_is(scan, FORMAT);
    if (version > 3) {
        scan_opaque(scan, FORMAT, "gguf-version", 4, "a later version than is understood");
        return true;
    }
    gguf.narrow = version == 1;
    gguf.keys = arena_take(scan->arena, LIMIT_GGUF_KEYS * sizeof *gguf.keys);
    if (!gguf.keys) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    if (size_read(&gguf, &tensors) && size_read(&gguf, &pairs))
        pairs_read(&gguf, pairs);
    if (!gguf.damaged)
        tensors_read(&gguf, tensors);
    return true;
}

const struct format format_gguf = {FORMAT, gguf_bid, gguf_run};
