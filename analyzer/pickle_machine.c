#include "pickle_field.h"
#include "pickle_stack.h"

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
    vector_give(machine, machine->far, FARS * sizeof *machine->far);
    value_close(machine);
}

/* What the stream spells out itself is no callable: both unpicklers raise TypeError and do nothing. Random bytes, such
 * as the state of a generator of numbers, call such things more often than anything else. */
static bool may_be_called(word value)
{
    return word_tag(value) == TAG_GLOBAL || word_tag(value) == TAG_OBJECT || word_tag(value) == TAG_UNKNOWN;
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
        if (count == 0 || !may_be_called(items[0]))
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
        /* Python's unpickler calls extend() with nothing as well. */
        if (count || op == OP_APPENDS) {
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
    if (!may_be_called(items[0]))
        return STREAM_INVALID;
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
    machine->certain = !machine->doubtful;
    if (machine->certain && machine->named)
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

enum stream_end op_execute(struct machine *machine, unsigned char op, const unsigned char *fixed)
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

        end = plain_run(machine);
        if (end != STREAM_GOES_ON || machine->scan->stopped)
            break;
        if (!op_take(machine, &op, &fixed)) {
            end = STREAM_TRUNCATED;
            break;
        }
        machine->steps++;
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
