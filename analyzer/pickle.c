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
        scan_malformed(scan, format, "pickle-truncated", machine->offset, "ends without STOP; what came before is executed");
    else if (end == STREAM_INVALID)
        scan_malformed(scan, format, "pickle-invalid-opcode", machine->offset,
                       "unpicklers fail here; what came before is executed");
    if (machine->frames_differ && machine->named)
        scan_malformed(scan, format, "pickle-frames", machine->start, "unpicklers disagree about the frames");
}

/* torch's file format before 1.6 begins with pickles of a magic number and a version. */
static bool legacy_magic(struct machine *machine, uint64_t start)
{
    static const unsigned char magic[] = {OP_LONG1, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, OP_STOP};
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

/* Moves to the next pickle behind what is none: right here, behind zeros or white space, or anywhere near with PROTO. */
static bool stream_next(struct machine *machine)
{
    struct reader *reader = &machine->reader;
    uint64_t gap_end = reader->end - reader->position < LIMIT_PICKLE_GAP ? reader->end : reader->position + LIMIT_PICKLE_GAP;
    bool blank = true;

    while (reader->position < gap_end) {
        size_t length;
        const unsigned char *bytes, *proto;

        if (stream_begins(machine, !blank))
            return true;
        bytes = reader_rest(reader, SCAN_HEAD, &length);
        if (!bytes)
            return false;
        blank &= bytes[0] == 0 || bytes[0] == '\n' || bytes[0] == '\r' || bytes[0] == ' ';
        if (blank) {
            reader->position++;
            continue;
        }
        proto = length > 1 ? memchr(bytes + 1, OP_PROTO, length - 1) : NULL;
        reader->position += proto ? (size_t)(proto - bytes) : length;
    }
    return false;
}

/* The other reading of a stream in which a field crosses the end of a frame. Leaves the reader where it was. */
static bool stream_run_cut(struct machine *machine, uint64_t start)
{
    uint64_t behind = machine->reader.position;

    machine->reader.position = start;
    machine->cutting = true;
    machine_end(machine, machine_run(machine));
    machine->cutting = false;
    machine->reader.position = behind;
    return machine->confirmed;
}

static bool streams_run(struct machine *machine)
{
    bool any = false, legacy = false;
    unsigned count = 0;

    do {
        uint64_t start = machine->reader.position;
        enum stream_end end = machine_run(machine);

        machine_end(machine, end);
        any |= machine->confirmed || end == STREAM_LIMIT;
        if (machine->frames_cut && !machine->scan->stopped)
            any |= stream_run_cut(machine, start);
        if (end != STREAM_STOPPED)
            break;
        if (count++ == 0 && legacy_magic(machine, start)) {
            legacy = true;
            scan_is(machine->scan, "torch-legacy");
        }
    } while (!machine->scan->stopped &&
             (legacy && count >= LEGACY_STREAMS ? stream_begins(machine, true) : stream_next(machine)));
    return any;
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
