#include "member_configs.h"
#include "zip.h"

#include <string.h>
#include <zlib.h>

#define LOCAL_SIZE 30u /* local header without its variable parts */

static const unsigned char local_magic[4] = {'P', 'K', 3, 4};

/* A member under analysis, in one reading of its sizes and method. */
struct member {
    struct zip_archive *archive;
    const struct zip_entry *entry;
    enum zip_use use;
    char *name;
    uint64_t data; /* offset of the first packed byte */
    unsigned faults;
    bool encrypted; /* one of the two headers says so */
    bool found;
};

/* What the local header says. */
struct local {
    uint16_t flags, method;
    uint32_t crc;
    uint64_t packed, unpacked;
    bool sized; /* sizes and checksum are meant, not left to the descriptor behind the data */
};

/* A source that computes the CRC of what is read through it, as far as that goes on without gaps. */
struct checked {
    const struct source *inner;
    uint64_t position; /* all before it is in the CRC */
    uLong crc;
};

static ssize_t checked_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    struct checked *checked = context;
    ssize_t got = checked->inner->pread(checked->inner->context, buffer, length, offset);
    if (got > 0 && offset <= checked->position && checked->position - offset < (uint64_t)got) {
        size_t known = (size_t)(checked->position - offset);
        size_t fresh = (size_t)got - known;
        checked->crc = crc32_z(checked->crc, (const unsigned char *)buffer + known, fresh);
        checked->position += fresh;
    }
    return got;
}

/* Does the local name differ from the central one? zipfile refuses such members, miniz reads them. */
static bool name_differs(const struct member *member, uint64_t offset, size_t length)
{
    unsigned char chunk[512];
    if (length != member->entry->name_length)
        return true;
    for (size_t done = 0; done < length;) {
        size_t want = length - done < sizeof chunk ? length - done : sizeof chunk;
        if (source_read(member->archive->source, chunk, want, offset + done) != (ssize_t)want ||
            memcmp(chunk, member->entry->name + done, want) != 0)
            return true;
        done += want;
    }
    return false;
}

static void local_wide_sizes(const struct member *member, struct local *local, uint64_t offset, size_t length)
{
    unsigned char extra[512];
    if (local->packed != UINT32_MAX && local->unpacked != UINT32_MAX)
        return;
    if (length > sizeof extra)
        length = sizeof extra;
    ssize_t got = source_read(member->archive->source, extra, length, offset);
    if (got > 0)
        zip_extra_sizes(extra, (size_t)got, &local->unpacked, &local->packed, NULL);
}

/* Reads the local header and notes where it differs from the central one. False: there is none. */
static bool local_read(struct member *member, struct local *local)
{
    const struct zip_entry *entry = member->entry;
    unsigned char fixed[LOCAL_SIZE];
    if (source_read(member->archive->source, fixed, sizeof fixed, entry->header) != (ssize_t)sizeof fixed ||
        memcmp(fixed, local_magic, 4) != 0) {
        member->faults |= ZIP_FAULT_LOCAL;
        return false;
    }
    uint64_t name = entry->header + LOCAL_SIZE;
    size_t name_length = load_le16(fixed + 26);
    size_t extra_length = load_le16(fixed + 28);
    *local = (struct local){load_le16(fixed + 6), load_le16(fixed + 8), load_le32(fixed + 14), load_le32(fixed + 18),
                            load_le32(fixed + 22), false};
    local_wide_sizes(member, local, name + name_length, extra_length);
    /* With a descriptor the fields may be zero, or be filled in all the same. */
    local->sized = !(local->flags & ZIP_DESCRIPTOR) || local->packed || local->unpacked || local->crc;
    member->data = name + name_length + extra_length;
    if (name_differs(member, name, name_length))
        member->faults |= ZIP_FAULT_NAME;
    if ((local->flags ^ entry->flags) & ZIP_ENCRYPTED)
        member->faults |= ZIP_FAULT_FLAGS;
    if (local->method != entry->method)
        member->faults |= ZIP_FAULT_METHOD;
    if (local->sized && (local->packed != entry->packed || local->unpacked != entry->unpacked))
        member->faults |= ZIP_FAULT_SIZE;
    if (local->sized && local->crc != entry->crc)
        member->faults |= ZIP_FAULT_CRC;
    return true;
}

/* Arrays and archives are not read to their end for the sake of a checksum: what follows their headers is data, or has
 * checksums of its own. */
static bool crc_wanted(const struct checked *checked, const struct source *content)
{
    unsigned char head[6];
    if (source_read(content, head, sizeof head, 0) != (ssize_t)sizeof head)
        return true;
    bool bulk = memcmp(head, "\x93NUMPY", 6) == 0 || memcmp(head, local_magic, 4) == 0;
    return !bulk || content->size - checked->position <= LIMIT_WINDOW;
}

/* Reads what analysis left unread, and compares. The memory is the caller's to release. */
static void crc_finish(struct member *member, struct checked *checked, const struct source *content)
{
    struct scan *scan = member->archive->scan;
    if (scan->stopped || !crc_wanted(checked, content))
        return;
    unsigned char *rest = arena_take(scan->arena, LIMIT_WINDOW);
    if (!rest) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return;
    }
    while (checked->position < content->size) {
        ssize_t got = source_read(content, rest, LIMIT_WINDOW, checked->position);
        if (got < 0)
            scan_failed(scan, SCAN_IO, (int)-got);
        if (got <= 0)
            break;
    }
    if (checked->position < content->size)
        member->faults |= ZIP_FAULT_SIZE;
    else if (checked->crc != member->entry->crc)
        member->faults |= ZIP_FAULT_CRC;
}

static bool content_scan(struct member *member, const struct source *inner)
{
    struct checked checked = {inner, 0, crc32_z(0, NULL, 0)};
    struct source content = {
        .pread = checked_pread, .context = &checked, .size = inner->size, .streamed = inner->streamed};
    struct scan *scan = member->archive->scan;
    if (member->use == ZIP_USE_CONFIG ? !member_config_run(scan, &content, member->name)
                                      : !scan_nested(scan, &content, member->name))
        return false;
    member->found = true;
    crc_finish(member, &checked, &content);
    return true;
}

static void script_scan(struct member *member, const struct source *content)
{
    struct scan *scan = member->archive->scan;
    const char *outer = scan->member;
    scan->member = scan_member_inside(scan, member->name);
    torchscript_scan(scan, content);
    scan->member = outer;
}

static void member_read(struct member *member, const struct source *content)
{
    if (member->use == ZIP_USE_SCRIPT)
        script_scan(member, content);
    else
        content_scan(member, content);
}

static void stored_scan(struct member *member, uint64_t size)
{
    struct source_slice slice = {member->archive->source, member->data};
    struct source content = source_from_slice(&slice, size);
    if (content.size < size)
        member->faults |= ZIP_FAULT_TRUNCATED;
    member_read(member, &content);
}

/* Analyses what comes out of `unpacker`, which is `unpacked` bytes by the header. */
static void unpacked_scan(struct member *member, struct unpacker *unpacker, uint64_t unpacked)
{
    struct zip_archive *archive = member->archive;
    struct source content = unpack_source(unpacker, unpacked);
    member_read(member, &content);
    if (unpack_gave_up(unpacker))
        member->found = true;
    bool known = member->found || member->use == ZIP_USE_SCRIPT || (zip_is_model(archive) && !member->encrypted);
    if (archive->scan->stopped || !known)
        return;
    /* More may come out than is stated: zipfile cuts it off, others do not. */
    unsigned char more;
    if (unpacker->front.position >= unpacked && content.pread(content.context, &more, 1, unpacked) == 1) {
        member->faults |= ZIP_FAULT_SIZE;
        content.size = SOURCE_SIZE_UNKNOWN;
        member->found |= scan_nested(archive->scan, &content, member->name);
    }
    unpack_report_end(unpacker, archive->format);
}

static void packed_scan(struct member *member, const struct codec *codec, const struct source *source, uint64_t start,
                        uint64_t stop, uint64_t unpacked)
{
    struct unpacker unpacker;
    if (!unpack_open(&unpacker, member->archive->scan, source, start, stop, codec))
        return;
    unpacked_scan(member, &unpacker, unpacked);
    unpack_close(&unpacker);
}

static void unread_scan(struct member *member)
{
    struct zip_archive *archive = member->archive;
    if (zip_is_model(archive) && !member->encrypted)
        scan_opaque(archive->scan, archive->format, "zip-method", member->entry->header,
                    "compressed by a method that is not read");
}

/* NULL: not read. LZMA is one that needs help. */
static const struct codec *method_codec(unsigned method)
{
    switch (method) {
    case ZIP_DEFLATED:
        return &codec_deflate;
    case ZIP_BZIP2:
        return &codec_bzip2;
    case ZIP_ZSTD:
        return &codec_zstd;
    case ZIP_XZ:
    case ZIP_LZMA:
        return &codec_xz;
    default:
        return NULL;
    }
}

static void compressed_scan(struct member *member, unsigned method, uint64_t packed, uint64_t unpacked)
{
    const struct source *source = member->archive->source;
    const struct codec *codec = method_codec(method);
    uint64_t start = member->data < source->size ? member->data : source->size;
    struct zip_lzma lzma;
    if (packed > source->size - start) {
        packed = source->size - start;
        member->faults |= ZIP_FAULT_TRUNCATED;
    }
    if (!codec)
        unread_scan(member);
    else if (method != ZIP_LZMA)
        packed_scan(member, codec, source, start, start + packed, unpacked);
    else if (zip_lzma_open(&lzma, source, start, start + packed,
                           member->entry->flags & ZIP_TERMINATED ? SOURCE_SIZE_UNKNOWN : unpacked))
        packed_scan(member, codec, &lzma.source, 0, lzma.source.size, unpacked);
    else
        unread_scan(member);
}

static void reading_scan(struct member *member, unsigned method, uint64_t packed, uint64_t unpacked)
{
    struct arena_mark mark = arena_mark(member->archive->scan->arena);
    if (method == ZIP_STORED) {
        if (packed != unpacked)
            member->faults |= ZIP_FAULT_SIZE;
        stored_scan(member, packed > unpacked ? packed : unpacked);
    } else {
        compressed_scan(member, method, packed, unpacked);
    }
    arena_release(member->archive->scan->arena, mark);
}

/* Encrypted members are read as if they were not: some readers look at the local flag, some at the central one, some at
 * neither. Neither PyTorch nor numpy decrypts, so that only in a PyTorch file does a really encrypted member say
 * something; an archive of arrays may be somebody's own, encrypted by other means. */
static void encryption_judge(struct member *member)
{
    struct zip_archive *archive = member->archive;
    if (member->found)
        member->faults |= ZIP_FAULT_FLAGS;
    else if (archive->scan->model || archive->kind > ZIP_NPZ)
        scan_opaque(archive->scan, archive->format, "zip-encrypted", member->entry->header, "an encrypted member");
    else
        member->faults = 0;
}

static void readings_scan(struct member *member)
{
    const struct zip_entry *entry = member->entry;
    struct local local;
    if (!local_read(member, &local))
        return;
    member->encrypted = (entry->flags | local.flags) & ZIP_ENCRYPTED;
    reading_scan(member, entry->method, entry->packed, entry->unpacked);
    if (local.sized && (member->faults & (ZIP_FAULT_METHOD | ZIP_FAULT_SIZE)))
        reading_scan(member, local.method, local.packed, local.unpacked);
    else if (member->faults & ZIP_FAULT_METHOD)
        reading_scan(member, local.method, entry->packed, entry->unpacked);
    if (member->encrypted)
        encryption_judge(member);
}

bool zip_member_scan(struct zip_archive *archive, const struct zip_entry *entry, enum zip_use use)
{
    struct scan *scan = archive->scan;
    struct arena_mark mark = arena_mark(scan->arena);
    struct member member = {.archive = archive, .entry = entry, .use = use};
    /* The name is raw bytes; a NUL ends it here, as it does for zipfile and for people. */
    member.name = arena_copy(scan->arena, (const char *)entry->name, entry->name_length);
    if (!member.name) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    if (entry->renamed || memchr(entry->name, 0, entry->name_length))
        member.faults |= ZIP_FAULT_NAME;
    readings_scan(&member);
    archive->found |= member.found;
    /* Of a config this was said when it did not bid, unless the archive was none that matters until then. */
    bool said = use == ZIP_USE_CONFIG && zip_is_model(archive);
    if (member.faults && !scan->stopped && !said && (member.found || zip_is_model(archive))) {
        const char *outer = scan->member;
        scan->member = scan_member_inside(scan, member.name);
        zip_report_faults(archive, member.faults, entry->header);
        scan->member = outer;
    }
    arena_release(scan->arena, mark);
    return member.found;
}
