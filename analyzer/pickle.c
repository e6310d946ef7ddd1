#include "pickle.h"

#include <string.h>

static const char format[] = "pickle";

static unsigned bid(const struct bid_view *view)
{
    return pickle_bid(view->head, view->head_length, view->size);
}

void machine_end(struct machine *machine, enum stream_end end)
{
    struct scan *scan = machine->scan;

    /* A stream without PROTO that named something counts once it reaches STOP. */
    if (end == STREAM_STOPPED && (machine->named || machine->certain))
        machine_confirm(machine);
    if (!machine->confirmed)
        return;
    if (end == STREAM_TRUNCATED)
        scan_malformed(scan, format, "pickle-truncated", machine->offset,
                       "ends without STOP; what came before is executed");
    else if (end == STREAM_INVALID)
        scan_malformed(scan, format, "pickle-invalid-opcode", machine->offset,
                       "unpicklers fail here; what came before is executed");
    if (machine->frames_differ && machine->named)
        scan_malformed(scan, format, "pickle-frames", machine->start, "unpicklers disagree about the frames");
}

/* torch's file format before 1.6 begins with pickles of a magic number and a version. */
static bool legacy_magic(struct machine *machine, uint64_t start)
{
    static const unsigned char magic[] = {OP_LONG1, 10,   0x6c, 0xfc, 0x9c, 0x46,   0xf9,
                                          0x20,     0x6a, 0xa8, 0x50, 0x19, OP_STOP};
    unsigned char bytes[2 + sizeof magic];

    if (source_read(machine->reader.source, bytes, sizeof bytes, start) != (ssize_t)sizeof bytes)
        return false;
    return bytes[0] == OP_PROTO && memcmp(bytes + 2, magic, sizeof magic) == 0;
}
/* Magic, version, byte order, the object, the keys of the storages; behind them lie the storages, raw. */
#define LEGACY_STREAMS 5

static bool stream_begins(struct machine *machine, bool proto_only)
{
    size_t length;
    const unsigned char *bytes = reader_rest(&machine->reader, SCAN_HEAD, &length);

    if (!bytes || (proto_only && bytes[0] != OP_PROTO))
        return false;
    return pickle_bid(bytes, length < SCAN_HEAD ? length : SCAN_HEAD, machine->reader.end - machine->reader.position) >=
           BID_RUN;
}

/* The search for further pickles behind the first. */
struct search {
    uint64_t passed;   /* bytes that are none */
    uint64_t wasted;   /* steps in what began like one */
    bool model;        /* something was found: what is not searched must be said */
    bool certain;      /* the first stream had PROTO */
};

static bool search_over(const struct search *search)
{
    return search->passed > (search->model || search->certain ? LIMIT_PICKLE_GAP : LIMIT_PICKLE_GAP_TEXT) ||
           search->wasted > LIMIT_PICKLE_DOUBTS;
}

static size_t blanks(const unsigned char *bytes, size_t length)
{
    size_t count = 0;

    /* Holes of sparse files are passed at the speed of memory. */
    if (length > 1 && bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0)
        return length;
    while (count < length && (bytes[count] == 0 || bytes[count] == '\n' || bytes[count] == '\r' || bytes[count] == ' '))
        count++;
    return count;
}

/* Moves to the next pickle behind what is none: right here, behind zeros or white space, or anywhere with PROTO. */
static bool stream_next(struct machine *machine, struct search *search, bool blank)
{
    struct reader *reader = &machine->reader;

    while (!search_over(search)) {
        size_t length, skip;
        const unsigned char *bytes = reader_rest(reader, SCAN_HEAD, &length), *proto;

        if (!bytes)
            return false;
        skip = blank ? blanks(bytes, length) : 0;
        if (skip == 0) {
            machine->doubtful = !blank;
            if (stream_begins(machine, !blank))
                return true;
            blank = false;
            bytes = reader_rest(reader, SCAN_HEAD, &length);
            proto = bytes && length > 1 ? memchr(bytes + 1, OP_PROTO, length - 1) : NULL;
            skip = proto ? (size_t)(proto - bytes) : length;
        }
        search->passed += skip;
        if (!reader_skip(reader, skip))
            return false;
    }
    if (search->model)
        scan_opaque(machine->scan, format, "pickle-gap", reader->position,
                    "not all that follows is searched for another pickle");
    return false;
}

/* The other reading of a stream in which a field crosses the end of a frame. Leaves the reader where it was. */
static void stream_run_cut(struct machine *machine, uint64_t start)
{
    uint64_t behind = machine->reader.position;
    bool confirmed = machine->confirmed;

    machine->reader.position = start;
    machine->cutting = true;
    machine_end(machine, machine_run(machine));
    machine->cutting = false;
    machine->confirmed |= confirmed;
    machine->reader.position = behind;
}

/* One stream and what is wrong with it. */
static enum stream_end stream_run(struct machine *machine)
{
    uint64_t start = machine->reader.position;
    enum stream_end end = machine_run(machine);

    machine_end(machine, end);
    if (machine->frames_cut && !machine->scan->stopped)
        stream_run_cut(machine, start);
    return end;
}

/* What follows the first stream: whoever loads several finds them one behind another, or knows where. */
static void streams_behind(struct machine *machine, struct search *search)
{
    bool blank = true;

    while (!machine->scan->stopped && stream_next(machine, search, blank)) {
        uint64_t start = machine->reader.position, steps = machine->steps;
        enum stream_end end = stream_run(machine);

        search->model |= machine->found;
        blank = end == STREAM_STOPPED;
        if (blank)
            continue;
        if (!machine->doubtful || machine->confirmed || end == STREAM_LIMIT)
            return;
        search->wasted += machine->steps - steps;
        machine->reader.position = start + 1;
    }
}

/* The streams of old PyTorch. False: there are fewer of them, and something else follows. */
static bool legacy_run(struct machine *machine)
{
    unsigned count = 1;

    scan_is(machine->scan, "torch-legacy");
    while (!machine->scan->stopped && count < LEGACY_STREAMS && stream_begins(machine, false)) {
        if (stream_run(machine) != STREAM_STOPPED) {
            machine->storages->known = false;
            return true;
        }
        count++;
    }
    return count >= LEGACY_STREAMS;
}

/* Moves behind the storages: torch.load() leaves a file there, and the next finds what it reads there. False: that
 * cannot be told, or nothing follows. */
static bool legacy_skip(struct machine *machine)
{
    const struct storages *storages = machine->storages;

    return storages->known && reader_skip(&machine->reader, storages->bytes) && stream_begins(machine, true);
}

/* Files of old PyTorch, one behind another, of which the first stream has been read. Returns whether something else
 * follows. */
static bool legacy_files(struct machine *machine)
{
    struct storages storages = {.known = true};
    bool follows;

    if (!name_set_open(&storages.keys, machine->scan->arena, LIMIT_LEGACY_STORAGES)) {
        scan_failed(machine->scan, SCAN_MEMORY, 0);
        return false;
    }
    machine->storages = &storages;
    do {
        storages.bytes = 0;
        name_set_clear(&storages.keys);
        follows = !legacy_run(machine) || legacy_skip(machine);
        if (!follows || !legacy_magic(machine, machine->reader.position))
            break;
        follows = stream_run(machine) == STREAM_STOPPED;
    } while (follows && !machine->scan->stopped);
    machine->storages = NULL;
    return follows;
}

static bool streams_run(struct machine *machine)
{
    enum stream_end end = stream_run(machine);
    struct search search = {.model = machine->found || end == STREAM_LIMIT, .certain = machine->certain};
    bool follows = end == STREAM_STOPPED;

    if (follows && legacy_magic(machine, 0))
        follows = legacy_files(machine);
    search.model |= machine->found;
    if (follows)
        streams_behind(machine, &search);
    return search.model;
}

static bool run(struct scan *scan, const struct source *source)
{
    struct machine *machine = arena_take(scan->arena, sizeof *machine);
    bool any;

    if (!machine) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    any = machine_open(machine, scan, source) && streams_run(machine);
    machine_close(machine);
    return any;
}

const struct format format_pickle = {format, bid, run};
