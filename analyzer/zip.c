#include "member_configs.h"
#include "zip.h"

#include <string.h>

static const struct {
    const char *token, *detail;
} faults_said[ZIP_FAULTS] = {
    {"zip-several-ends", "a second end record leads to another directory"},
    {"zip-directories-differ", "readers find different directories"},
    {"zip-count-differs", "the directory does not hold as many members as it counts"},
    {"zip-directory-damaged", "the directory breaks off"},
    {"zip-prefix", "the file begins with something else than its first member"},
    {"zip-duplicate-name", "two members have the same name"},
    {"zip-names-differ", "a member's name is not the same for all readers"},
    {"zip-flags-differ", "a member is encrypted for some readers only"},
    {"zip-methods-differ", "a member's two headers name different compression methods"},
    {"zip-sizes-differ", "a member's stated sizes differ from each other or from its data"},
    {"zip-crc", "a member's checksum does not fit"},
    {"zip-local-header", "a member is not where the directory says"},
    {"zip-truncated", "a member's data run past the end of the file"},
    {"zip-overlap", "members share their data"},
};

void zip_report_faults(struct zip_archive *archive, unsigned faults, uint64_t offset)
{
    for (unsigned i = 0; i < ZIP_FAULTS; i++)
        if (faults & 1u << i)
            scan_malformed(archive->scan, archive->format, faults_said[i].token, offset, faults_said[i].detail);
}

#define END_NEAR 512

static unsigned zip_bid(const struct bid_view *view)
{
    if (view->head_length >= 4 && (memcmp(view->head, "PK\3\4", 4) == 0 || memcmp(view->head, "PK\5\6", 4) == 0))
        return 32;
    /* Readers go by the end record; something else may come first. Further from the end only one whose comment fits
     * counts: a tar may well end with a zip. */
    const unsigned char *at = view->tail, *stop = view->tail + view->tail_length;
    while (stop - at >= 22 && (at = memchr(at, 'P', (size_t)(stop - at) - 21)) != NULL) {
        if (memcmp(at, "PK\5\6", 4) == 0 && (stop - at <= END_NEAR || stop - at == 22 + load_le16(at + 20)))
            return 32;
        at++;
    }
    return 0;
}

/* One directory under analysis. */
struct reading {
    struct zip_archive *archive;
    const struct zip_reading *where;
    struct zip_names names;
    uint64_t members;
    uint64_t lowest; /* offset of the first member */
    uint64_t room;   /* bytes of members that are still analysed */
    unsigned faults;
};

/* First pass: names only, so that what the archive is, is known before anything is reported about it. */
static void reading_recognise(struct reading *reading)
{
    struct scan *scan = reading->archive->scan;
    struct zip_walk walk;
    struct zip_entry entry;
    reading->lowest = UINT64_MAX;
    if (!zip_walk_open(&walk, scan, reading->archive->source, reading->where))
        return;
    while (walk.seen < LIMIT_MEMBERS && zip_walk_next(&walk, &entry)) {
        zip_names_see(&reading->names, &entry);
        if (entry.header < reading->lowest)
            reading->lowest = entry.header;
    }
    reading->members = walk.seen;
    if (walk.reader.error)
        scan_failed(scan, SCAN_IO, walk.reader.error);
    if (walk.damaged)
        reading->faults |= ZIP_FAULT_DIRECTORY;
    else if (walk.seen != reading->where->entries && walk.seen < LIMIT_MEMBERS &&
             (walk.seen & 0xffff) != reading->where->entries)
        reading->faults |= ZIP_FAULT_COUNT; /* without zip64 the count is modulo 65536 */
}

/* Members lie side by side: together they are no larger than the file, but for a few whose size is a lie. A directory
 * that names the same data a million times would be analysed for hours. */
#define OVERLAP_MAX 4u

/* Names that are told apart, to notice that one comes twice; TorchScript's largest models have some thousand. Storages
 * are left out: PyTorch reads them as bytes whichever it finds, and there may be very many. */
#define NAMES_MAX (1u << 16)

/* Takes the member's share of what may be analysed. */
static bool room_take(struct reading *reading, const struct zip_entry *entry)
{
    uint64_t size = reading->archive->source->size;
    uint64_t share = entry->packed < size ? entry->packed : size;
    if (share > reading->room) {
        reading->faults |= ZIP_FAULT_OVERLAP;
        reading->archive->found = true;
        return false;
    }
    reading->room -= share;
    return true;
}

/* The name with a NUL behind it, until `mark` is released. NULL: no memory, and the scan has failed. */
static const char *name_shown(struct scan *scan, const struct zip_entry *entry)
{
    const char *name = arena_copy(scan->arena, (const char *)entry->name, entry->name_length);
    if (!name)
        scan_failed(scan, SCAN_MEMORY, 0);
    return name;
}

/* Second pass: everything that bids. Returns whether there may be configs. */
static bool reading_members(struct reading *reading, struct name_set *folders)
{
    struct zip_archive *archive = reading->archive;
    struct scan *scan = archive->scan;
    struct name_set set;
    struct zip_walk walk;
    struct zip_entry entry;
    bool may_hold = false;
    if (!name_set_open(&set, scan->arena, reading->members < NAMES_MAX ? (size_t)reading->members : NAMES_MAX)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    if (!zip_walk_open(&walk, scan, archive->source, reading->where))
        return false;
    while (!scan->stopped && walk.seen < LIMIT_MEMBERS && zip_walk_next(&walk, &entry)) {
        if (zip_names_storage(&reading->names, &entry))
            continue;
        if (!room_take(reading, &entry))
            break;
        if (!name_set_add(&set, name_hash(NAME_HASH, entry.name, entry.name_length)) && !name_set_full(&set))
            reading->faults |= ZIP_FAULT_DUPLICATE;
        struct arena_mark mark = arena_mark(scan->arena);
        const char *name = name_shown(scan, &entry);
        bool script = zip_names_script(&reading->names, &entry);
        if (name && zip_member_scan(archive, &entry, script ? ZIP_USE_SCRIPT : ZIP_USE_CONTENT))
            member_folders_add(folders, name);
        else
            may_hold |= name && scan_config_name(name);
        arena_release(scan->arena, mark);
    }
    if (zip_is_model(archive) && (walk.seen >= LIMIT_MEMBERS || name_set_full(&set)))
        scan_opaque(scan, archive->format, "zip-members", reading->where->directory,
                    "more members than are inspected");
    return may_hold;
}

/* Third pass: the configs beside models. What torch.export writes is a model by itself. */
static void reading_configs(struct reading *reading, const struct name_set *folders)
{
    struct zip_archive *archive = reading->archive;
    struct scan *scan = archive->scan;
    struct zip_walk walk;
    struct zip_entry entry;
    if (!zip_walk_open(&walk, scan, archive->source, reading->where))
        return;
    while (!scan->stopped && walk.seen < LIMIT_MEMBERS && zip_walk_next(&walk, &entry)) {
        struct arena_mark mark = arena_mark(scan->arena);
        const char *name = name_shown(scan, &entry);
        if (name && scan_config_name(name) &&
            (archive->kind == ZIP_EXPORTED || member_folders_have(folders, name))) {
            if (!room_take(reading, &entry))
                break;
            zip_member_scan(archive, &entry, ZIP_USE_CONFIG);
        }
        arena_release(scan->arena, mark);
    }
}

/* `python`: some member is Python. */
static void recognised_say(struct zip_archive *archive, bool python)
{
    static const char *const names[] = {
        [ZIP_PLAIN] = "zip",
        [ZIP_NPZ] = "npz",
        [ZIP_SERVED] = "torchserve",
        [ZIP_EXPORTED] = "torch-export",
        [ZIP_TORCH] = "torch-zip",
        [ZIP_TORCHSCRIPT] = "torchscript",
        [ZIP_PACKAGE] = "torch-package",
    };
    archive->format = names[archive->kind];
    if (archive->kind == ZIP_PLAIN)
        return;
    archive->scan->model = true;
    scan_is(archive->scan, "zip");
    scan_is(archive->scan, archive->format);
    if (archive->kind == ZIP_TORCHSCRIPT || (python && (archive->kind == ZIP_SERVED || archive->kind == ZIP_PACKAGE))) {
        struct effect effect = {.kind = EFFECT_CODE, .name = archive->format};
        scan_report(archive->scan, archive->format, &effect);
    }
}

/* A zip whose directory is gone cannot be loaded by any reader that goes by it; a broken model must not pass
 * for clean. */
static bool headless_scan(struct zip_archive *archive)
{
    unsigned char header[30 + 256];
    ssize_t got = source_read(archive->source, header, sizeof header, 0);
    if (got < 30 || memcmp(header, "PK\3\4", 4) != 0)
        return false;
    struct zip_entry entry = {.name = header + 30, .name_length = load_le16(header + 26)};
    struct zip_names names = {0};
    if (entry.name_length > (size_t)got - 30)
        entry.name_length = (size_t)got - 30;
    zip_names_see(&names, &entry);
    archive->kind = zip_names_kind(&names);
    if (archive->kind == ZIP_PLAIN) {
        names.data = true;
        if (!zip_names_storage(&names, &entry))
            return false;
        archive->kind = ZIP_TORCHSCRIPT;
    }
    recognised_say(archive, false);
    scan_opaque(archive->scan, archive->format, "zip-no-directory", 0, "the archive's directory is missing");
    return true;
}

/* torch.load and numpy.load want the first four bytes to be a member's; torch.jit.load and zipfile do not look
 * at them. */
static bool head_is_member(const struct source *source)
{
    unsigned char head[4];
    return source_read(source, head, sizeof head, 0) == (ssize_t)sizeof head && memcmp(head, "PK\3\4", 4) == 0;
}

/* The size of a source that does not tell it, by reading to its end; 0 on failure. */
static uint64_t size_find(struct scan *scan, const struct source *source)
{
    struct arena_mark mark = arena_mark(scan->arena);
    unsigned char *waste = arena_take(scan->arena, LIMIT_WINDOW);
    uint64_t size = 0;
    ssize_t got = 0;
    if (!waste)
        scan_failed(scan, SCAN_MEMORY, 0);
    while (waste && (got = source_read(source, waste, LIMIT_WINDOW, size)) > 0)
        size += (uint64_t)got;
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    arena_release(scan->arena, mark);
    return size;
}

static bool archive_run(struct scan *scan, const struct source *source)
{
    struct zip_archive archive = {.scan = scan, .source = source, .format = "zip"};
    struct zip_reading where[ZIP_READINGS];
    struct reading readings[ZIP_READINGS];
    bool model = scan->model, python = false;
    size_t outside = scan->result->format_count;
    unsigned faults = 0;
    unsigned count = zip_find_readings(scan, source, where, &faults);
    if (count == 0) {
        bool broken = !scan->stopped && headless_scan(&archive);
        scan->model = model;
        return broken;
    }
    struct zip_spool spool;
    struct source spooled = zip_spool_source(&spool, scan, source, where, count);
    archive.source = &spooled;
    uint64_t room = spooled.size < UINT64_MAX / OVERLAP_MAX ? spooled.size * OVERLAP_MAX : UINT64_MAX;
    for (unsigned i = 0; i < count && !scan->stopped; i++) {
        struct arena_mark mark = arena_mark(scan->arena);
        readings[i] = (struct reading){.archive = &archive, .where = &where[i], .room = room};
        reading_recognise(&readings[i]);
        arena_release(scan->arena, mark);
        python |= readings[i].names.python;
        enum zip_kind kind = zip_names_kind(&readings[i].names);
        if (kind > archive.kind)
            archive.kind = kind;
    }
    recognised_say(&archive, python);
    for (unsigned i = 0; i < count && !scan->stopped; i++) {
        struct arena_mark mark = arena_mark(scan->arena);
        struct name_set folders;
        if (member_folders_open(&folders, scan) && reading_members(&readings[i], &folders) &&
            (archive.found || archive.kind == ZIP_EXPORTED))
            reading_configs(&readings[i], &folders);
        arena_release(scan->arena, mark);
        faults |= readings[i].faults;
        if (archive.kind != ZIP_PLAIN && (readings[i].lowest != 0 || !head_is_member(source)))
            faults |= ZIP_FAULT_PREFIX;
    }
    if (archive.found || zip_is_model(&archive))
        zip_report_faults(&archive, faults, where[0].directory);
    if (archive.kind == ZIP_PLAIN && archive.found)
        scan_is_around(scan, "zip", outside);
    scan->model = model;
    return archive.kind != ZIP_PLAIN || archive.found;
}

/* Each for itself, the last one first. */
static bool chain_run(struct scan *scan, const struct source *source)
{
    bool found = false;
    for (uint64_t stop = source->size; stop > 0 && !scan->stopped;) {
        struct source_slice slice = {source, zip_chain_next(source, stop)};
        struct source link = source_from_slice(&slice, stop - slice.start);
        struct arena_mark mark = arena_mark(scan->arena);
        if (link.size == 0)
            break; /* it changed meanwhile */
        found |= archive_run(scan, &link);
        arena_release(scan->arena, mark);
        stop = slice.start;
    }
    return found;
}

static bool zip_run(struct scan *scan, const struct source *source)
{
    struct source_slice slice = {source, 0};
    if (source->size != SOURCE_SIZE_UNKNOWN)
        return zip_chain_is(source) ? chain_run(scan, source) : archive_run(scan, source);
    struct source sized = source_from_slice(&slice, size_find(scan, source));
    return archive_run(scan, &sized);
}

const struct format format_zip = {"zip", zip_bid, zip_run};
