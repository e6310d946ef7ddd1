#include "pickle.h"
#include "pickle_decode.h"

#include <string.h>

static const char format[] = "pickle";
/* Stands for a callable that is not named by the stream. */
static const char unknown_name[] = "?";

static struct name *name_at(const struct machine *machine, word value)
{
    if (word_tag(value) != TAG_GLOBAL || word_index(value) == NAMES_MAX)
        return NULL;
    return &machine->names[word_index(value)];
}

static void import_send(struct machine *machine, struct name *name)
{
    struct effect effect = {.kind = EFFECT_IMPORT, .name = name->text, .alias = name->alias, .offset = name->offset,
                            .attribute = name->attribute};

    name->reported = true;
    if (scan_report(machine->scan, format, &effect) == SCAN_SETTLED)
        name->settled |= 1u << EFFECT_IMPORT;
}

bool machine_confirm(struct machine *machine)
{
    size_t i;

    if (machine->doubtful && !machine->named)
        return false;
    if (!machine->confirmed && !machine->scan->stopped) {
        machine->confirmed = machine->found = true;
        scan_is(machine->scan, format);
        for (i = 0; i < machine->name_count && !machine->scan->stopped; i++)
            if (!machine->names[i].reported && machine->names[i].stream == machine->stream)
                import_send(machine, &machine->names[i]);
    }
    return !machine->scan->stopped;
}

void report_import(struct machine *machine, uint32_t index)
{
    if (machine->certain && !machine->confirmed)
        machine_confirm(machine);
    if (!machine->confirmed)
        return;
    if (index == NAMES_MAX) {
        struct effect effect = {.kind = EFFECT_IMPORT, .name = unknown_name, .offset = machine->offset,
                                .detail = "more names than can be kept apart"};

        scan_report(machine->scan, format, &effect);
    } else if (!machine->names[index].reported) {
        import_send(machine, &machine->names[index]);
    }
}

struct handing {
    struct machine *machine;
    uint32_t via; /* index of the callee, NAMES_MAX when it has no name */
    const char *via_text;
    unsigned position;
};

/* A name is handed to a callee, which may call it. */
static bool name_handed(void *context, uint32_t index)
{
    const struct handing *handing = context;
    struct machine *machine = handing->machine;
    uint64_t pair = (uint64_t)index << 32 | handing->via;
    struct effect effect = {.kind = EFFECT_CALL, .name = unknown_name, .via = handing->via_text,
                            .position = handing->position, .offset = machine->offset};

    if (map_get(&machine->settled, pair))
        return true;
    if (index != NAMES_MAX) {
        effect.name = machine->names[index].text;
        effect.alias = machine->names[index].alias;
    }
    if (scan_report(machine->scan, format, &effect) == SCAN_SETTLED)
        /* When there is no room to remember, it is merely said again. */
        map_put(&machine->settled, &machine->scan->request->memory, LIMIT_PICKLE_LINKS, pair, 1);
    return !machine->scan->stopped;
}

static void all_handed(struct handing *handing)
{
    uint32_t i;

    for (i = 0; i < handing->machine->name_count; i++)
        if (!name_handed(handing, i))
            return;
}

static void names_handed(struct handing *handing, word value)
{
    struct machine *machine = handing->machine;
    struct name_walk walk = {name_handed, handing, 0};
    uint32_t i;

    if (!value_names(machine, value, &walk, 0) && !machine->scan->stopped)
        all_handed(handing);
    if (!machine->any_late || (!has_identity(value) && word_tag(value) != TAG_TUPLE))
        return;
    if (machine->names_lost)
        all_handed(handing);
    for (i = 0; i < machine->name_count; i++)
        if (machine->names[i].late && !name_handed(handing, i))
            return;
}

/* "bytes@1234" */
static const char *bytes_member(uint64_t offset, char member[32])
{
    char *at = member + 31;

    *at = '\0';
    do
        *--at = (char)('0' + offset % 10);
    while (offset /= 10);
    at -= 6;
    memcpy(at, "bytes@", 6);
    return at;
}

/* Shorter bytes may be a pickle that calls, but no archive or compressed stream that holds one. */
#define PACKED_LEAST 24u

static bool content_bids(const unsigned char *head, size_t head_length, const unsigned char *tail, size_t tail_length,
                         uint64_t length)
{
    if (length < PACKED_LEAST)
        return pickle_bid(head, head_length, length) >= BID_RUN;
    return scan_bid(head, head_length, tail, tail_length, length) & SCAN_BID_CONTENT;
}

/* Could there be anything in these bytes? Asked of what is buffered, because most bytes are not worth a scan. */
static bool bytes_bid(const struct machine *machine, uint64_t start, uint64_t length)
{
    size_t head_length = length < SCAN_HEAD ? (size_t)length : SCAN_HEAD;
    size_t tail_length = length < SCAN_TAIL ? (size_t)length : SCAN_TAIL;
    const unsigned char *head = reader_recent(&machine->reader, start, head_length);
    const unsigned char *tail = reader_recent(&machine->reader, start + length - tail_length, tail_length);

    if (!head || !tail)
        return true;
    return content_bids(head, head_length, tail, tail_length, length);
}

/* The same of bytes that are spelt otherwise, where they are few: those of dates and of short strings come by the
 * million. */
static bool spelling_bids(struct machine *machine, word value)
{
    struct text text;
    size_t tail;

    if (text_length(value) > 512 || !text_load(machine, value, SCAN_HEAD, &text) || text.cut)
        return true;
    tail = text.length < SCAN_TAIL ? text.length : SCAN_TAIL;
    return content_bids((const unsigned char *)text.bytes, text.length,
                        (const unsigned char *)text.bytes + text.length - tail, tail, text.length);
}

/* The payload as a source: where it lies, or through a decoder from the arena. False: no memory, or no payload. */
static bool bytes_source(struct machine *machine, word value, struct source_slice *slice, struct source *source,
                         uint64_t *start)
{
    struct decoder *decoder;
    uint64_t length;
    unsigned char op;

    if (!text_payload(machine, value, start, &length))
        return false;
    if (text_is_raw(value)) {
        *slice = (struct source_slice){machine->reader.source, *start};
        *source = source_from_slice(slice, length);
        return bytes_bid(machine, *start, length);
    }
    if (!spelling_bids(machine, value))
        return false;
    decoder = arena_take(machine->scan->arena, sizeof *decoder);
    if (!decoder) {
        scan_failed(machine->scan, SCAN_MEMORY, 0);
        return false;
    }
    op = text_opcode(machine, value);
    *source = source_from_spelling(decoder, machine->reader.source, *start, length,
                                   op == OP_STRING    ? SPELT_ESCAPED
                                   : op == OP_UNICODE ? SPELT_RAW_UNICODE
                                                      : SPELT_UNICODE);
    return true;
}

/* A pickle begins with an opcode. Asked of short bytes, which come by the million, before anything else. */
static bool bytes_dull(const struct machine *machine, word value)
{
    const unsigned char *there;

    if (text_length(value) >= PACKED_LEAST || !text_is_raw(value))
        return false;
    there = reader_recent(&machine->reader, word_place(value), 3);
    return there && pickle_shapes[there[0]].argument == ARG_SIZED1 && !pickle_shapes[there[2]].does;
}

static void bytes_scan(struct machine *machine, word value)
{
    struct scan *scan = machine->scan;
    struct arena_mark mark;
    bool model = scan->model;
    struct source_slice slice;
    struct source source;
    uint64_t start;
    char member[32];

    if (text_length(value) < PICKLED_LEAST || bytes_dull(machine, value) ||
        map_get(&machine->nested, word_place(value)) || scan->stopped)
        return;
    mark = arena_mark(scan->arena);
    if (bytes_source(machine, value, &slice, &source, &start)) {
        /* What a pickle hands on to be loaded is a model, so that the end of our nesting is no way out. */
        scan->model = model || scan->depth + 2 >= LIMIT_NESTING;
        if (scan_nested(scan, &source, bytes_member(start, member)) && !scan->stopped &&
            !map_put(&machine->nested, &scan->request->memory, LIMIT_PICKLE_NESTED, word_place(value), 1)) {
            scan_opaque(scan, format, "pickle-nested-limit", machine->offset, "too many pickles within the pickle");
            scan->stopped = true;
        }
        scan->model = model;
    }
    arena_release(scan->arena, mark);
}

void report_bytes(struct machine *machine, word value, unsigned depth)
{
    const word *items = NULL;
    size_t count = 0, i;
    bool whole;

    switch (word_tag(value)) {
    case TAG_BYTES:
    case TAG_ENCODED:
    case TAG_STRING8:
        bytes_scan(machine, value);
        return;
    case TAG_TUPLE:
        if (!(value & TUPLE_BYTES) || depth > LIMIT_PICKLE_DEPTH)
            return;
        items = tuple_items(machine, value);
        count = items ? tuple_count(value) : 0;
        if (!items)
            scan_opaque(machine->scan, format, "pickle-arguments-lost", machine->offset,
                        "bytes are handed to a call from too far back");
        break;
    case TAG_LIST:
        if (depth <= 2)
            items = container_items(machine, value, &count, &whole);
        break;
    default:
        return;
    }
    for (i = 0; i < count && !machine->scan->stopped; i++)
        report_bytes(machine, items[i], depth + 1);
}

struct invocation invocation_of(const struct machine *machine, enum effect_kind kind, word callee, word arguments)
{
    struct invocation invocation = {.kind = kind, .callee = callee, .lost = arguments};

    if (word_tag(arguments) == TAG_TUPLE) {
        invocation.arguments = tuple_items(machine, arguments);
        if (invocation.arguments) {
            invocation.count = tuple_count(arguments);
            invocation.known = !(arguments & TUPLE_MORE);
        }
    }
    return invocation;
}

static void invocation_send(struct machine *machine, const struct invocation *invocation, struct name *name)
{
    struct arena_mark mark = arena_mark(machine->scan->arena);
    bool keywords = word_tag(invocation->keywords) != TAG_NOTHING;
    size_t total = invocation->count + keywords, shown = total < LIMIT_ARGUMENTS ? total : LIMIT_ARGUMENTS, i;
    struct argument *arguments = arena_take(machine->scan->arena, (shown + 1) * sizeof *arguments);
    struct effect effect = {.kind = invocation->kind, .name = unknown_name, .offset = machine->offset,
                            .detail = invocation->detail, .arguments = arguments};

    if (name) {
        effect.name = name->text;
        effect.alias = name->alias;
    } else if (!effect.detail) {
        effect.detail =
            word_tag(invocation->callee) == TAG_OBJECT ? "the stream made it itself" : "it cannot be told what";
    }
    for (i = 0; arguments && i < shown; i++)
        argument_make(machine, i < invocation->count ? invocation->arguments[i] : invocation->keywords, &arguments[i]);
    effect.argument_count = arguments ? shown : 0;
    effect.argument_known = arguments && invocation->known && shown == total;
    if (scan_report(machine->scan, format, &effect) == SCAN_SETTLED && name)
        name->settled |= (uint8_t)(1u << invocation->kind);
    arena_release(machine->scan->arena, mark);
}

void report_state(struct machine *machine, word object, word state)
{
    struct invocation invocation = {.kind = EFFECT_CREATE, .callee = word_global(word_index(object)), .known = true,
                                    .arguments = &state, .count = 1, .detail = "its state is set"};
    struct name *name = name_at(machine, invocation.callee);

    if (machine_confirm(machine))
        invocation_send(machine, &invocation, name);
}

void report_invocation(struct machine *machine, const struct invocation *invocation)
{
    struct name *name = NULL;
    struct handing handing = {machine, NAMES_MAX, unknown_name, 0};
    size_t i;

    if (!machine_confirm(machine))
        return;
    if (name_at(machine, invocation->callee)) {
        handing.via = word_index(invocation->callee);
        name = &machine->names[handing.via];
        handing.via_text = name->text;
    }
    if (!name || !(name->settled & 1u << invocation->kind))
        invocation_send(machine, invocation, name);
    for (i = 0; i < invocation->count && !machine->scan->stopped; i++) {
        handing.position = (unsigned)i;
        names_handed(&handing, invocation->arguments[i]);
        report_bytes(machine, invocation->arguments[i], 0);
    }
    handing.position = (unsigned)invocation->count;
    names_handed(&handing, invocation->keywords);
    if (!invocation->known) {
        if (!invocation->arguments)
            names_handed(&handing, invocation->lost);
        report_bytes(machine, invocation->lost, 0);
    }
}
