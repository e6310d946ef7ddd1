#include "pickle.h"

#include <string.h>

static const char format[] = "pickle";

bool machine_open(struct machine *machine, struct scan *scan, const struct source *source)
{
    *machine = (struct machine){.scan = scan};
    machine->scratch = arena_take(scan->arena, 2 * NAME_TEXT);
    if (!machine->scratch || !reader_open(&machine->reader, scan->arena, source, 0, source->size)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    return true;
}

static void memo_clear(struct machine *machine)
{
    uint64_t chunk;

    for (chunk = 0; chunk * MEMO_CHUNK < machine->memo_high; chunk++)
        if (machine->memo[chunk])
            memset(machine->memo[chunk], 0, MEMO_CHUNK * sizeof(word));
    map_clear(&machine->sparse, &machine->scan->request->memory);
    machine->memo_high = machine->memo_count = 0;
}

void machine_close(struct machine *machine)
{
    const struct scan_memory *memory = &machine->scan->request->memory;
    size_t chunk;

    for (chunk = 0; machine->memo && chunk < MEMO_CHUNKS; chunk++)
        vector_give(machine, machine->memo[chunk], MEMO_CHUNK * sizeof(word));
    vector_give(machine, machine->memo, MEMO_CHUNKS * sizeof *machine->memo);
    vector_give(machine, machine->stack, machine->stack_capacity * sizeof *machine->stack);
    vector_give(machine, machine->marks, machine->mark_capacity * sizeof *machine->marks);
    vector_give(machine, machine->names, machine->name_capacity * sizeof *machine->names);
    map_clear(&machine->sparse, memory);
    map_clear(&machine->name_index, memory);
    map_clear(&machine->settled, memory);
    map_clear(&machine->nested, memory);
    map_clear(&machine->dtypes, memory);
    vector_give(machine, machine->dtype, DTYPES * sizeof *machine->dtype);
    value_close(machine);
}

static enum stream_end limit_reached(struct machine *machine, const char *token, const char *detail)
{
    if (machine->scan->stopped)
        return STREAM_FAILED;
    scan_is(machine->scan, format);
    scan_opaque(machine->scan, format, token, machine->offset, detail);
    return STREAM_LIMIT;
}

static bool stack_grow(struct machine *machine)
{
    void *grown = machine->stack;

    if (!vector_grow(machine, &grown, &machine->stack_capacity, machine->depth + 1, sizeof *machine->stack,
                     LIMIT_PICKLE_ENTRIES))
        return false;
    machine->stack = grown;
    return true;
}

static inline enum stream_end push(struct machine *machine, word value)
{
    if (machine->depth == machine->stack_capacity && !stack_grow(machine))
        return limit_reached(machine, "pickle-stack-limit", "more values on the stack than are kept track of");
    machine->stack[machine->depth++] = value;
    return STREAM_GOES_ON;
}

/* Items above the last mark, which alone the opcodes may take. */
static inline size_t above(const struct machine *machine) { return machine->depth - machine->fence; }
static inline word *top(struct machine *machine) { return &machine->stack[machine->depth - 1]; }
/* What lies from `first` up; NULL where that is nothing, as there may be no stack yet. */
static inline word *stack_from(struct machine *machine, size_t first)
{
    return first < machine->depth ? machine->stack + first : NULL;
}

static enum stream_end mark_push(struct machine *machine)
{
    void *grown = machine->marks;

    if (machine->mark_count == machine->mark_capacity) {
        if (!vector_grow(machine, &grown, &machine->mark_capacity, machine->mark_count + 1, sizeof *machine->marks,
                         LIMIT_PICKLE_ENTRIES))
            return limit_reached(machine, "pickle-stack-limit", "more marks than are kept track of");
        machine->marks = grown;
    }
    machine->marks[machine->mark_count++] = machine->depth;
    machine->fence = machine->depth;
    return STREAM_GOES_ON;
}

/* Removes the last mark; the items above it stay, from `*first` on. False: there is none. */
static inline bool mark_pop(struct machine *machine, size_t *first)
{
    if (machine->mark_count == 0)
        return false;
    *first = machine->marks[--machine->mark_count];
    machine->fence = machine->mark_count ? machine->marks[machine->mark_count - 1] : 0;
    return true;
}

static word *memo_slot(struct machine *machine, uint64_t index)
{
    word *chunk = index < machine->memo_high ? machine->memo[index / MEMO_CHUNK] : NULL;

    return chunk && chunk[index % MEMO_CHUNK] ? &chunk[index % MEMO_CHUNK] : map_get(&machine->sparse, index);
}

static bool memo_grow(struct machine *machine, uint64_t index)
{
    size_t capacity = 0;
    void *taken = NULL;

    if (!machine->memo) {
        if (!vector_grow(machine, &taken, &capacity, MEMO_CHUNKS, sizeof *machine->memo, MEMO_CHUNKS))
            return false;
        machine->memo = taken;
    }
    if (!machine->memo[index / MEMO_CHUNK]) {
        taken = NULL;
        capacity = 0;
        if (!vector_grow(machine, &taken, &capacity, MEMO_CHUNK, sizeof(word), MEMO_CHUNK))
            return false;
        machine->memo[index / MEMO_CHUNK] = taken;
    }
    return true;
}

/* Indexes near the count go into chunks; far ones, which no pickler writes, into a small map. */
static enum stream_end memo_put(struct machine *machine, uint64_t index)
{
    word *slot = memo_slot(machine, index);

    if (above(machine) == 0)
        return STREAM_INVALID;
    if (slot) {
        *slot = *top(machine);
        return STREAM_GOES_ON;
    }
    if (index >= LIMIT_PICKLE_ENTRIES || index > 2 * machine->memo_count + 8 * MEMO_CHUNK) {
        if (!map_put(&machine->sparse, &machine->scan->request->memory, LIMIT_PICKLE_SPARSE, index, *top(machine)))
            return limit_reached(machine, "pickle-memo-limit", "more memo entries than are kept track of");
    } else {
        if (!memo_grow(machine, index))
            return STREAM_FAILED;
        machine->memo[index / MEMO_CHUNK][index % MEMO_CHUNK] = *top(machine);
        if (machine->memo_high <= index)
            machine->memo_high = index + 1;
    }
    machine->memo_count++;
    return STREAM_GOES_ON;
}

static enum stream_end memo_get(struct machine *machine, uint64_t index)
{
    const word *slot = memo_slot(machine, index);

    return slot ? push(machine, *slot) : STREAM_INVALID;
}

/* A field has been read from `start` on. Does it cross the end of its frame? Python's unpickler raises then. C's goes on, if
 * it has all bytes in memory; when it reads from a file its buffer is the frame, and it forgets what is left of it and
 * reads the field behind. Then true, and the reader is there. */
static bool field_cut(struct machine *machine, uint64_t start)
{
    uint64_t frame_end = machine->frame_end;

    if (machine->reader.position <= frame_end || start >= frame_end)
        return false;
    machine->frames_differ = machine->frames_cut = true;
    if (!machine->cutting)
        return false;
    machine->reader.position = frame_end;
    machine->frame_end = UINT64_MAX;
    return true;
}

enum number { NUMBER_FITS, NUMBER_LARGE, NUMBER_NONE };

static unsigned digit_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? (unsigned)c - 'a' + 10 : 36;
}

/* The number in a line as int() with base 0 or 10 and strtol read it; what follows the digits is not looked at. */
static enum number number_read(const unsigned char *line, size_t length, unsigned base, int64_t *number)
{
    size_t at = 0;
    bool negative = false, any = false;
    uint64_t value = 0;

    *number = 0;
    while (at < length && (line[at] == ' ' || (line[at] >= '\t' && line[at] <= '\r')))
        at++;
    if (at < length && (line[at] == '-' || line[at] == '+'))
        negative = line[at++] == '-';
    if (base == 0) {
        base = 10;
        if (at + 1 < length && line[at] == '0') {
            unsigned char letter = line[at + 1] | 0x20;

            base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
            if (base != 10)
                at += 2;
        }
    }
    for (; at < length; at++) {
        unsigned digit = digit_value(line[at]);

        if (line[at] == '_')
            continue;
        if (digit >= base)
            break;
        if (value > (UINT64_MAX >> 2) / 16)
            return NUMBER_LARGE;
        value = value * base + digit;
        any = true;
    }
    *number = negative ? -(int64_t)value : (int64_t)value;
    return any ? NUMBER_FITS : NUMBER_NONE;
}

/* A line as readline()[:-1] gives it: at the end of the bytes without its last one. `place` receives where it starts. */
static bool line_read(struct machine *machine, const unsigned char **line, uint64_t *length)
{
    struct reader *reader = &machine->reader;
    size_t got;

    if (reader_line(reader, LIMIT_PEEK, line, &got)) {
        *length = got;
        return true;
    }
    *line = reader_rest(reader, LIMIT_PEEK, &got);
    if (!*line)
        return false;
    if (got >= LIMIT_PEEK) {
        /* Longer than can be shown in one piece: the caller gets its beginning. */
        uint64_t start = reader->position;
        unsigned char *copy = (unsigned char *)machine->scratch;

        memcpy(copy, *line, LIMIT_NAME + 2);
        *line = copy;
        if (!reader_skip_line(reader, length)) {
            *length = reader->end - start;
            reader->position = reader->end;
        }
        return true;
    }
    reader->position += got;
    *length = got - 1;
    return true;
}

static bool line_take(struct machine *machine, const unsigned char **line, uint64_t *length)
{
    uint64_t start = machine->reader.position;

    return line_read(machine, line, length) && (!field_cut(machine, start) || line_read(machine, line, length));
}

static enum stream_end op_number(struct machine *machine, unsigned char op)
{
    const unsigned char *line;
    uint64_t length;
    int64_t value;
    enum number number;

    if (!line_take(machine, &line, &length))
        return STREAM_TRUNCATED;
    if (op == OP_FLOAT)
        return push(machine, word_number(machine->offset));
    if (op == OP_INT && length == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1'))
        return push(machine, TAG_BOOL | (word)(line[1] - '0') << 4);
    number = length > LIMIT_PEEK ? NUMBER_LARGE
             : number_read(line, (size_t)length, op == OP_INT || op == OP_LONG ? 0 : 10, &value);
    if (number == NUMBER_NONE)
        return STREAM_INVALID;
    if (op == OP_INT || op == OP_LONG)
        return push(machine, number == NUMBER_FITS ? word_int(value, machine->offset) : word_number(machine->offset));
    /* Python's memo takes an index of any size. */
    if (number == NUMBER_LARGE)
        return limit_reached(machine, "pickle-memo-limit", "a memo index beyond all use");
    if (value < 0)
        return STREAM_INVALID;
    return op == OP_PUT ? memo_put(machine, (uint64_t)value) : memo_get(machine, (uint64_t)value);
}

static enum stream_end op_line(struct machine *machine, unsigned char op)
{
    uint64_t length = 0, start = machine->reader.position;
    const unsigned char *line;

    if (!reader_skip_line(&machine->reader, &length) && !line_read(machine, &line, &length))
        return STREAM_TRUNCATED;
    if (field_cut(machine, start)) {
        start = machine->reader.position;
        if (!reader_skip_line(&machine->reader, &length) && !line_read(machine, &line, &length))
            return STREAM_TRUNCATED;
        /* The text does not lie where its opcode says. */
        return push(machine, value_made(machine, TAG_OBJECT, NAMES_MAX));
    }
    if (op == OP_PERSID)
        return push(machine, value_made(machine, TAG_OBJECT, NAMES_MAX));
    return push(machine, word_text(op == OP_STRING ? TAG_STRING8 : TAG_STRING, machine->offset, length) | TEXT_ESCAPED);
}

/* A length of one, four or eight bytes, and that many bytes of payload, which are not read here. */
static enum stream_end op_sized(struct machine *machine, unsigned char op, uint64_t length)
{
    uint64_t start = machine->reader.position;
    enum tag tag;

    if ((op == OP_BINSTRING || op == OP_LONG4) && length > INT32_MAX)
        return STREAM_INVALID;
    if (!reader_skip(&machine->reader, length))
        return STREAM_TRUNCATED;
    /* Bytes are copied piece by piece, and nothing of them is dropped. */
    if (op != OP_BINBYTES && op != OP_SHORT_BINBYTES && op != OP_BINBYTES8 && op != OP_BYTEARRAY8 &&
        field_cut(machine, start)) {
        if (!reader_skip(&machine->reader, length))
            return STREAM_TRUNCATED;
        return push(machine, value_made(machine, TAG_OBJECT, NAMES_MAX));
    }
    switch (op) {
    case OP_LONG1:
    case OP_LONG4:
        return push(machine, length ? word_number(machine->offset) : word_int(0, 0));
    case OP_BINSTRING:
    case OP_SHORT_BINSTRING:
        tag = TAG_STRING8;
        break;
    case OP_BINUNICODE:
    case OP_SHORT_BINUNICODE:
    case OP_BINUNICODE8:
        tag = TAG_STRING;
        break;
    default:
        tag = TAG_BYTES;
        break;
    }
    return push(machine, word_text(tag, machine->offset, length));
}

/* The two lines of GLOBAL and INST. */
static bool pair_take(struct machine *machine, uint32_t *name)
{
    char module[LIMIT_NAME + 2];
    const unsigned char *line;
    uint64_t length;
    size_t module_length;

    if (!line_take(machine, &line, &length))
        return false;
    module_length = length < sizeof module ? (size_t)length : sizeof module;
    memcpy(module, line, module_length);
    /* Where the bytes end behind the module, Python's unpickler imports it and then asks it for "". */
    if (!line_take(machine, &line, &length)) {
        line = (const unsigned char *)"";
        length = 0;
    }
    if (length > LIMIT_NAME + 1)
        length = LIMIT_NAME + 1;
    if ((const char *)line == machine->scratch) {
        /* The name is written where the long line was copied to. */
        char copy[LIMIT_NAME + 2];

        memcpy(copy, line, (size_t)length);
        *name = name_find(machine, module, module_length, copy, (size_t)length);
        return true;
    }
    *name = name_find(machine, module, module_length, (const char *)line, (size_t)length);
    return true;
}

static enum stream_end op_pair(struct machine *machine, unsigned char op)
{
    uint32_t name;
    size_t first, count;
    word made;

    if (!pair_take(machine, &name))
        return STREAM_TRUNCATED;
    report_import(machine, name);
    if (op == OP_GLOBAL)
        return push(machine, word_global(name));
    if (!mark_pop(machine, &first))
        return STREAM_INVALID; /* only now: Python's unpickler resolves the name first */
    count = machine->depth - first;
    made = call_items(machine, word_global(name), stack_from(machine, first), count);
    machine->depth = first;
    return push(machine, made);
}

/* One of STACK_GLOBAL's two strings, copied into `copy` (LIMIT_NAME + 2 bytes). A string that the stream had made by a call
 * cannot be told. False: no string, so that both unpicklers raise. */
static bool half_load(struct machine *machine, word value, char *copy, size_t *length)
{
    struct arena_mark mark = arena_mark(machine->scan->arena);
    struct text text;
    bool loaded;

    if (word_tag(value) == TAG_OBJECT || word_tag(value) == TAG_UNKNOWN) {
        copy[0] = '?';
        *length = 1;
        return true;
    }
    if (word_tag(value) != TAG_STRING && word_tag(value) != TAG_STRING8)
        return false;
    loaded = text_load(machine, value, LIMIT_NAME + 1, &text);
    if (loaded) {
        memcpy(copy, text.bytes, text.length);
        *length = text.length;
    }
    arena_release(machine->scan->arena, mark);
    return loaded;
}

static enum stream_end op_stack_global(struct machine *machine)
{
    char module[LIMIT_NAME + 2], name[LIMIT_NAME + 2];
    size_t module_length, name_length;
    uint32_t found;

    if (above(machine) < 2 || !half_load(machine, top(machine)[-1], module, &module_length) ||
        !half_load(machine, *top(machine), name, &name_length))
        return STREAM_INVALID;
    found = name_find(machine, module, module_length, name, name_length);
    machine->depth -= 2;
    report_import(machine, found);
    return push(machine, word_global(found));
}

/* A code of copyreg's extension registry: which name it stands for only the running program knows. */
static enum stream_end op_extension(struct machine *machine, uint32_t code)
{
    char name[24] = "extension_";
    size_t at = sizeof name;
    size_t length = 10;
    uint32_t found;

    do
        name[--at] = (char)('0' + code % 10);
    while (code /= 10);
    memmove(name + length, name + at, sizeof name - at);
    length += sizeof name - at;
    found = name_find(machine, "copyreg", 7, name, length);
    report_import(machine, found);
    return push(machine, word_global(found));
}

/* Opcodes that take everything down to the mark. */
static enum stream_end op_marked(struct machine *machine, unsigned char op)
{
    static const char *const changes[256] = {
        [OP_APPENDS] = "items are appended to it", [OP_ADDITEMS] = "items are added to it",
        [OP_SETITEMS] = "items are set in it",
    };
    word *items, target, made;
    size_t first, count;
    bool pairs = op == OP_DICT || op == OP_SETITEMS, odd;

    if (!mark_pop(machine, &first))
        return STREAM_INVALID;
    count = machine->depth - first;
    items = stack_from(machine, first);
    odd = pairs && count % 2;
    count -= odd; /* Python's unpickler sets the pairs before it raises */
    switch (op) {
    case OP_POP_MARK:
        machine->depth = first;
        return STREAM_GOES_ON;
    case OP_TUPLE:
        made = value_tuple(machine, items, count);
        break;
    case OP_OBJ:
        if (count == 0)
            return STREAM_INVALID;
        made = call_items(machine, items[0], items + 1, count - 1);
        break;
    case OP_LIST:
    case OP_DICT:
    case OP_FROZENSET:
        made = value_made(machine, op == OP_LIST ? TAG_LIST : op == OP_DICT ? TAG_DICT : TAG_SET, 0);
        value_insert(machine, made, items, count, pairs);
        break;
    default:
        if (first <= machine->fence)
            return STREAM_INVALID;
        target = machine->stack[first - 1];
        if (count) {
            call_change(machine, target, items, count, pairs, changes[op]);
            value_insert(machine, target, items, count, pairs);
        }
        machine->depth = first;
        return odd ? STREAM_INVALID : STREAM_GOES_ON;
    }
    machine->depth = first;
    return odd ? STREAM_INVALID : push(machine, made);
}

static enum stream_end op_build(struct machine *machine)
{
    word target, state;

    if (above(machine) < 2)
        return STREAM_INVALID;
    state = *top(machine);
    machine->depth--;
    target = *top(machine);
    call_build(machine, target, state);
    if (word_tag(target) == TAG_OBJECT && word_index(target) != NAMES_MAX &&
        machine->names[word_index(target)].role == ROLE_ARRAY && !machine->scan->stopped)
        return joblib_array(machine, state);
    return STREAM_GOES_ON;
}

static enum stream_end op_change(struct machine *machine, unsigned char op)
{
    size_t count = op == OP_SETITEM ? 2 : 1;
    word target;

    if (above(machine) < count + 1)
        return STREAM_INVALID;
    machine->depth -= count;
    target = *top(machine);
    call_change(machine, target, top(machine) + 1, count, count == 2,
                op == OP_SETITEM ? "an item is set in it" : "an item is appended to it");
    value_insert(machine, target, top(machine) + 1, count, count == 2);
    return STREAM_GOES_ON;
}

static enum stream_end op_invoke(struct machine *machine, unsigned char op)
{
    size_t count = op == OP_NEWOBJ_EX ? 3 : 2;
    word *items;
    word made;

    if (above(machine) < count)
        return STREAM_INVALID;
    items = top(machine) + 1 - count;
    if (op == OP_REDUCE)
        made = call_reduce(machine, items[0], items[1]);
    else
        made = call_newobj(machine, items[0], items[1], op == OP_NEWOBJ_EX ? items[2] : (word)TAG_NOTHING);
    machine->depth -= count - 1;
    *top(machine) = made;
    return STREAM_GOES_ON;
}

static enum stream_end op_tuple(struct machine *machine, size_t count)
{
    word made;

    if (above(machine) < count)
        return STREAM_INVALID;
    made = value_tuple(machine, stack_from(machine, machine->depth - count), count);
    machine->depth -= count;
    return push(machine, made);
}

static enum stream_end op_pop(struct machine *machine)
{
    size_t first;

    if (machine->mark_count && machine->depth == machine->fence) {
        mark_pop(machine, &first);
        return STREAM_GOES_ON;
    }
    if (above(machine) == 0)
        return STREAM_INVALID;
    machine->depth--;
    return STREAM_GOES_ON;
}

static enum stream_end op_proto(struct machine *machine, unsigned protocol)
{
    if (protocol > PICKLE_PROTOCOL_MAX)
        return STREAM_INVALID;
    machine->protocol = protocol;
    machine->certain = true;
    if (machine->named)
        machine_confirm(machine);
    return STREAM_GOES_ON;
}

/* C's unpickler asks only that a frame's bytes are there; Python's reads to its end and no further. */
static enum stream_end op_frame(struct machine *machine, uint64_t length)
{
    uint64_t position = machine->reader.position;

    if ((machine->frame_end != UINT64_MAX && position != machine->frame_end) ||
        length > machine->reader.end - position)
        machine->frames_differ = true;
    machine->frame_end = length > UINT64_MAX - position ? UINT64_MAX : position + length;
    return STREAM_GOES_ON;
}

static enum stream_end op_special(struct machine *machine, unsigned char op, const unsigned char *fixed)
{
    switch (op) {
    case OP_GLOBAL:
    case OP_INST:
        return op_pair(machine, op);
    case OP_STACK_GLOBAL:
        return op_stack_global(machine);
    case OP_EXT1:
        return op_extension(machine, fixed[0]);
    case OP_EXT2:
        return op_extension(machine, load_le16(fixed));
    case OP_EXT4:
        return op_extension(machine, load_le32(fixed));
    case OP_INT:
    case OP_LONG:
    case OP_FLOAT:
    case OP_GET:
    case OP_PUT:
        return op_number(machine, op);
    case OP_PERSID:
    case OP_STRING:
    case OP_UNICODE:
        return op_line(machine, op);
    case OP_BINPERSID:
        if (above(machine) == 0)
            return STREAM_INVALID;
        *top(machine) = call_persistent(machine, *top(machine));
        return STREAM_GOES_ON;
    case OP_PROTO:
        return op_proto(machine, fixed[0]);
    case OP_FRAME:
        return op_frame(machine, load_le64(fixed));
    case OP_NEXT_BUFFER:
        return push(machine, value_made(machine, TAG_OBJECT, NAMES_MAX));
    case OP_READONLY_BUFFER:
        return above(machine) ? STREAM_GOES_ON : STREAM_INVALID;
    default:
        return STREAM_INVALID;
    }
}

/* One opcode, whose fixed part has been taken. */
static enum stream_end op_execute(struct machine *machine, unsigned char op, const unsigned char *fixed)
{
    switch (op) {
    case OP_MARK:
        return mark_push(machine);
    case OP_STOP:
        return above(machine) ? STREAM_STOPPED : STREAM_INVALID;
    case OP_POP:
        return op_pop(machine);
    case OP_DUP:
        return above(machine) ? push(machine, *top(machine)) : STREAM_INVALID;
    case OP_NONE:
        return push(machine, TAG_NONE);
    case OP_NEWTRUE:
        return push(machine, TAG_BOOL | 1 << 4);
    case OP_NEWFALSE:
        return push(machine, TAG_BOOL);
    case OP_BININT:
        return push(machine, word_int((int32_t)load_le32(fixed), 0));
    case OP_BININT1:
        return push(machine, word_int(fixed[0], 0));
    case OP_BININT2:
        return push(machine, word_int(load_le16(fixed), 0));
    case OP_BINFLOAT:
        return push(machine, word_number(machine->offset));
    case OP_SHORT_BINUNICODE:
    case OP_SHORT_BINBYTES:
    case OP_SHORT_BINSTRING:
    case OP_LONG1:
        return op_sized(machine, op, fixed[0]);
    case OP_BINUNICODE:
    case OP_BINBYTES:
    case OP_BINSTRING:
    case OP_LONG4:
        return op_sized(machine, op, load_le32(fixed));
    case OP_BINUNICODE8:
    case OP_BINBYTES8:
    case OP_BYTEARRAY8:
        return op_sized(machine, op, load_le64(fixed));
    case OP_EMPTY_TUPLE:
        return push(machine, TAG_TUPLE);
    case OP_EMPTY_LIST:
        return push(machine, value_made(machine, TAG_LIST, 0));
    case OP_EMPTY_DICT:
        return push(machine, value_made(machine, TAG_DICT, 0));
    case OP_EMPTY_SET:
        return push(machine, value_made(machine, TAG_SET, 0));
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return op_tuple(machine, (size_t)(op - OP_TUPLE1) + 1);
    case OP_BINGET:
        return memo_get(machine, fixed[0]);
    case OP_LONG_BINGET:
        return memo_get(machine, load_le32(fixed));
    case OP_BINPUT:
        return memo_put(machine, fixed[0]);
    case OP_LONG_BINPUT:
        return memo_put(machine, load_le32(fixed));
    case OP_MEMOIZE:
        return memo_put(machine, machine->memo_count);
    case OP_TUPLE:
    case OP_LIST:
    case OP_DICT:
    case OP_FROZENSET:
    case OP_APPENDS:
    case OP_SETITEMS:
    case OP_ADDITEMS:
    case OP_OBJ:
    case OP_POP_MARK:
        return op_marked(machine, op);
    case OP_APPEND:
    case OP_SETITEM:
        return op_change(machine, op);
    case OP_REDUCE:
    case OP_NEWOBJ:
    case OP_NEWOBJ_EX:
        return op_invoke(machine, op);
    case OP_BUILD:
        return op_build(machine);
    default:
        return op_special(machine, op, fixed);
    }
}

static void machine_reset(struct machine *machine)
{
    memo_clear(machine);
    value_reset(machine);
    machine->depth = machine->fence = machine->mark_count = 0;
    machine->protocol = 0;
    machine->start = machine->offset = machine->reader.position;
    machine->frame_end = UINT64_MAX;
    machine->certain = machine->confirmed = machine->named = machine->frames_differ = false;
    machine->frames_cut = false;
    machine->stream++;
}

/* The longest fixed part of an opcode. */
#define STEP_LENGTH 9u

/* Takes the next opcode and its fixed part, which `fixed` receives. False: the bytes end in it. */
static bool op_take(struct machine *machine, unsigned char *op, const unsigned char **fixed)
{
    struct reader *reader = &machine->reader;
    size_t got;
    const unsigned char *at = reader_rest(reader, STEP_LENGTH, &got);
    unsigned length;

    machine->offset = reader->position;
    if (!at)
        return false;
    *op = at[0];
    length = pickle_shapes[at[0]].fixed;
    if (got < 1u + length)
        return false;
    reader->position += 1u + length;
    *fixed = at + 1;
    if (reader->position <= machine->frame_end || !field_cut(machine, machine->offset + 1))
        return true;
    *fixed = reader_peek(reader, length, NULL);
    return *fixed && reader_skip(reader, length);
}

enum stream_end machine_run(struct machine *machine)
{
    enum stream_end end = STREAM_GOES_ON;

    machine_reset(machine);
    while (end == STREAM_GOES_ON && !machine->scan->stopped) {
        const unsigned char *fixed;
        unsigned char op;

        if (!op_take(machine, &op, &fixed)) {
            end = STREAM_TRUNCATED;
            break;
        }
        if (machine->offset >= PLACE_MAX)
            return limit_reached(machine, "pickle-size-limit", "larger than any file");
        end = op_execute(machine, op, fixed);
        if (machine->reader.position >= machine->frame_end)
            machine->frame_end = UINT64_MAX;
    }
    if (machine->reader.error)
        scan_failed(machine->scan, SCAN_IO, machine->reader.error);
    return machine->scan->stopped && end != STREAM_LIMIT ? STREAM_FAILED : end;
}
