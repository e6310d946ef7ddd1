/* Arrays in joblib's dumps: after the BUILD of a NumpyArrayWrapper, numpy_pickle.py reads a byte that counts padding,
 * the padding, and the raw items, from the file itself; or, for arrays of objects, a pickle of its own. */
#include "pickle.h"

#include <string.h>

static const char format[] = "joblib";

static struct dtype *dtype_of(const struct machine *machine, word object)
{
    const uint64_t *index = map_get(&machine->dtypes, word_id(object));

    return index ? &machine->dtype[*index] : NULL;
}

/* "f8", "<U5", "|V16", "M8": a kind and the bytes of one item; of one character, for U. */
static struct dtype dtype_parse(const char *text, size_t length)
{
    struct dtype dtype = {0};
    size_t at = 0;
    char kind;

    while (at < length && (text[at] == '<' || text[at] == '>' || text[at] == '|' || text[at] == '='))
        at++;
    if (at == length)
        return dtype;
    kind = text[at++];
    if (!memchr("biufcmMOSUV?", kind, 12))
        return dtype;
    for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
        if (dtype.size > UINT32_MAX)
            return dtype;
        dtype.size = dtype.size * 10 + (uint64_t)(text[at] - '0');
    }
    if (kind == '?')
        dtype.size = 1;
    if (kind == 'U')
        dtype.size *= 4;
    dtype.objects = kind == 'O';
    /* numpy spells what is left of a name ("float64") otherwise; its own pickles do not. */
    dtype.known = at == length;
    return dtype;
}

void joblib_dtype_made(struct machine *machine, word object, const word *arguments, size_t count)
{
    struct arena_mark mark = arena_mark(machine->scan->arena);
    struct dtype dtype = {0};
    struct text text;
    void *taken = NULL;
    size_t capacity = 0;

    if (machine->dtype_count == DTYPES)
        return;
    if (count && (word_tag(arguments[0]) == TAG_STRING || word_tag(arguments[0]) == TAG_STRING8) &&
        text_load(machine, arguments[0], 32, &text) && !text.cut)
        dtype = dtype_parse(text.bytes, text.length);
    arena_release(machine->scan->arena, mark);
    if (!machine->dtype) {
        if (!vector_grow(machine, &taken, &capacity, DTYPES, sizeof dtype, DTYPES))
            return;
        machine->dtype = taken;
    }
    machine->dtype[machine->dtype_count] = dtype;
    if (map_put(&machine->dtypes, &machine->scan->request->memory, DTYPES, word_id(object), machine->dtype_count))
        machine->dtype_count++;
}

/* dtype.__setstate__((version, order, subtype, names, fields, size, alignment, flags, ...)) */
void joblib_dtype_state(struct machine *machine, word object, word state)
{
    struct dtype *dtype = dtype_of(machine, object);
    const word *items = word_tag(state) == TAG_TUPLE ? tuple_items(machine, state) : NULL;
    size_t count = items ? tuple_count(state) : 0;

    if (!dtype)
        return;
    if (count < 8 || word_tag(items[5]) != TAG_INT || word_tag(items[7]) != TAG_INT) {
        dtype->known = false;
        return;
    }
    if (word_int_value(items[5]) >= 0)
        dtype->size = (uint64_t)word_int_value(items[5]);
    dtype->objects |= word_int_value(items[7]) & 1; /* NPY_ITEM_REFCOUNT */
}

struct array {
    const struct dtype *dtype;
    uint64_t items;
    bool shape_known;
    bool padded; /* a byte counts the padding that follows it; absent before joblib 1.2 */
};

static void shape_read(const struct machine *machine, word shape, struct array *array)
{
    const word *items = word_tag(shape) == TAG_TUPLE ? tuple_items(machine, shape) : NULL;
    size_t i;

    if (!items || shape & TUPLE_MORE)
        return;
    array->items = 1;
    for (i = 0; i < tuple_count(shape); i++) {
        if (word_tag(items[i]) != TAG_INT || word_int_value(items[i]) < 0 ||
            __builtin_mul_overflow(array->items, (uint64_t)word_int_value(items[i]), &array->items))
            return;
    }
    array->shape_known = true;
}

/* The wrapper's attributes from its state dict. False: not all of it can be told. */
static bool array_read(struct machine *machine, word state, struct array *array)
{
    size_t count, i;
    bool whole;
    const word *items = word_tag(state) == TAG_DICT ? container_items(machine, state, &count, &whole) : NULL;

    *array = (struct array){0};
    if (!items || !whole)
        return false;
    for (i = 0; i + 1 < count; i += 2) {
        if (word_tag(items[i]) != TAG_STRING && word_tag(items[i]) != TAG_STRING8) /* the latter is Python 2's */
            return false;
        if (text_equals(machine, items[i], "shape"))
            shape_read(machine, items[i + 1], array);
        else if (text_equals(machine, items[i], "dtype"))
            array->dtype = dtype_of(machine, items[i + 1]);
        else if (text_equals(machine, items[i], "numpy_array_alignment_bytes"))
            array->padded = word_tag(items[i + 1]) != TAG_NONE;
    }
    return array->dtype && array->dtype->known && array->shape_known;
}

/* The pickle of an array of objects: a stream of its own at the reader's position, with its own stack and memo. */
static enum stream_end array_of_objects(struct machine *outer)
{
    struct arena_mark mark = arena_mark(outer->scan->arena);
    struct machine *inner = arena_take(outer->scan->arena, sizeof *inner);
    enum stream_end end;

    if (outer->nesting + 1 >= LIMIT_NESTING) {
        scan_opaque(outer->scan, format, "nesting-limit", outer->offset, "pickles nested deeper than any real model");
        return STREAM_LIMIT;
    }
    if (!inner) {
        scan_failed(outer->scan, SCAN_MEMORY, 0);
        return STREAM_FAILED;
    }
    if (!machine_open(inner, outer->scan, outer->reader.source))
        return STREAM_FAILED;
    inner->nesting = outer->nesting + 1;
    inner->reader.position = outer->reader.position;
    inner->certain = true;
    end = machine_run(inner);
    machine_end(inner, end);
    reader_skip(&outer->reader, inner->reader.position - outer->reader.position);
    machine_close(inner);
    arena_release(outer->scan->arena, mark);
    return end == STREAM_STOPPED ? STREAM_GOES_ON : end;
}

/* Would an unpickler that knows nothing of joblib find something to run in the array's bytes? */
static bool bytes_run(struct machine *machine)
{
    size_t length;
    const unsigned char *bytes = reader_rest(&machine->reader, SCAN_HEAD, &length);

    return bytes && pickle_walk_acts(bytes, length < SCAN_HEAD ? length : SCAN_HEAD);
}

/* numpy.load(os.path.join(FOLDER, filename), allow_pickle=True), whose file is judged when it is opened. */
void joblib_companion(struct machine *machine, word state)
{
    struct arena_mark mark = arena_mark(machine->scan->arena);
    struct effect effect = {.kind = EFFECT_READ, .offset = machine->offset, .detail = "an array in a file of its own"};
    size_t count = 0, i;
    bool whole = false;
    const word *items = word_tag(state) == TAG_DICT ? container_items(machine, state, &count, &whole) : NULL;
    struct text text;

    scan_is(machine->scan, format);
    for (i = 0; items && i + 1 < count; i += 2)
        if (text_equals(machine, items[i], "filename") && text_load(machine, items[i + 1], LIMIT_NAME, &text) &&
            !text.cut)
            effect.name = text.bytes;
    if (effect.name && whole)
        scan_report(machine->scan, format, &effect);
    else
        scan_opaque(machine->scan, format, "joblib-companion", machine->offset,
                    "which file holds the array cannot be told");
    arena_release(machine->scan->arena, mark);
}

enum stream_end joblib_array(struct machine *machine, word state)
{
    struct array array;
    uint64_t bytes;
    uint8_t padding;

    scan_is(machine->scan, format);
    /* joblib reads behind the frame, which therefore ends here. */
    if (machine->frame_end != UINT64_MAX && machine->frame_end != machine->reader.position)
        machine->frames_differ = true;
    machine->frame_end = UINT64_MAX;
    if (!array_read(machine, state, &array)) {
        scan_opaque(machine->scan, format, "joblib-array", machine->offset,
                    "the size of the array that follows cannot be told");
        return STREAM_LIMIT;
    }
    if (array.dtype->objects)
        return array_of_objects(machine);
    if (bytes_run(machine))
        scan_malformed(machine->scan, format, "joblib-array-opcodes", machine->reader.position,
                       "the bytes of an array are opcodes to plain unpicklers");
    if (array.padded && (!reader_u8(&machine->reader, &padding) || !reader_skip(&machine->reader, padding)))
        return STREAM_TRUNCATED;
    if (__builtin_mul_overflow(array.items, array.dtype->size, &bytes) || !reader_skip(&machine->reader, bytes))
        return STREAM_TRUNCATED;
    return STREAM_GOES_ON;
}
