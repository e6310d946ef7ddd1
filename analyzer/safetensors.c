/* Safetensors: no code, and no tensors read; but the header must mean the same to every reader.
 *
 * Facts: the safetensors README ("Format") and its Rust library: 8 bytes with the header's length, at most 100 MB, then
 * a JSON object padded with spaces, then raw tensors which cover the rest without overlap or hole. The library checks
 * all of it; others (numpy.memmap recipes, ports to other languages) do not. */
#include "bytes.h"
#include "json.h"
#include "name_set.h"

#include <string.h>

#define FORMAT "safetensors"

#define HEADER_MAX 100000000u

enum key { KEY_OTHER, KEY_DTYPE, KEY_SHAPE, KEY_OFFSETS };

/* A tensor's description, as far as it has been read. */
struct tensor {
    uint64_t place, begin, end, elements;
    unsigned bits; /* of an element; 0: a type that is not known here */
    unsigned offsets;
    unsigned seen; /* keys, as bits */
    bool sized;    /* `elements` is right */
};

struct header {
    struct scan *scan;
    struct json json;
    struct name_set names, notes; /* of tensors; of what stands in the metadata */
    struct tensor tensor;
    enum key key;
    bool metadata;   /* its object is open, or its key was read last */
    bool unlimited;  /* no tensor's end can be checked: the size is not known */
    bool said, full;
    uint64_t length; /* bytes behind the header */
    uint64_t farthest;
    uint64_t begins[2], ends[2]; /* sums of hashes, see tensor_end() */
};

static bool header_begins(const unsigned char *head, size_t length, uint64_t size)
{
    if (length < 10 || size < 10)
        return false;
    uint64_t header = load_le64(head);
    return header >= 2 && header <= HEADER_MAX && header <= size - 8 && head[8] == '{' &&
           (head[9] == '"' || head[9] == '}' || head[9] == ' ' || head[9] == '\n');
}

/* A header that says what only safetensors say, though its length is too large, or larger than the file. */
static bool header_broken(const unsigned char *head, size_t length)
{
    return length > 64 && head[8] == '{' && head[9] == '"' && head[7] == 0 &&
           bytes_hold(head + 8, length - 8, "\"data_offsets\":[") && bytes_hold(head + 8, length - 8, "\"dtype\":\"");
}

static unsigned safetensors_bid(const struct bid_view *view)
{
    return header_begins(view->head, view->head_length, view->size) || header_broken(view->head, view->head_length) ? 40
                                                                                                                    : 0;
}

/* One thing is said of a header: the rest follows from it. */
static void say(struct header *header, const char *token, const char *detail)
{
    if (!header->said)
        scan_malformed(header->scan, FORMAT, token, 8 + header->json.offset, detail);
    header->said = true;
}

static unsigned dtype_bits(const char *name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = {
        {"BOOL", 8}, {"U8", 8},   {"I8", 8},    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
        {"U16", 16}, {"F16", 16}, {"BF16", 16}, {"I32", 32},    {"U32", 32},    {"F32", 32},    {"C64", 64},
        {"F64", 64}, {"I64", 64}, {"U64", 64},  {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].name) == 0)
            return types[i].bits;
    return 0;
}

/* splitmix64's mixing, with a constant for each of the two sums. */
static uint64_t mixed(uint64_t value, unsigned which)
{
    value += which ? 0xd1b54a32d192ed03u : 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* The tensors cover [0, length) exactly when each begins where another ends, but for the first; whatever their order.
 * Because none ends before it begins, it is enough that beginnings and `length` are the same numbers as ends and 0,
 * each as often: their hashes then have the same sum, which takes no memory. */
static void tensor_end(struct header *header)
{
    struct tensor *tensor = &header->tensor;
    header->json.offset = tensor->place;
    if (tensor->seen != (1u << KEY_DTYPE | 1u << KEY_SHAPE | 1u << KEY_OFFSETS) || tensor->offsets != 2) {
        say(header, "safetensors-tensor", "a tensor is not described as it has to be");
        return;
    }
    if (tensor->begin > tensor->end || (!header->unlimited && tensor->end > header->length)) {
        say(header, "safetensors-offsets", "a tensor lies outside the file");
        return;
    }
    if (tensor->bits && (!tensor->sized || tensor->elements > UINT64_MAX / 64 ||
                         (tensor->elements * tensor->bits + 7) / 8 != tensor->end - tensor->begin))
        say(header, "safetensors-tensor", "a tensor's shape and type ask for another size than it has");
    for (unsigned i = 0; i < 2; i++) {
        header->begins[i] += mixed(tensor->begin, i);
        header->ends[i] += mixed(tensor->end, i);
    }
    if (tensor->end > header->farthest)
        header->farthest = tensor->end;
}

static void cover_judge(struct header *header)
{
    uint64_t length = header->unlimited ? header->farthest : header->length;
    for (unsigned i = 0; i < 2; i++)
        if (header->begins[i] + mixed(length, i) != header->ends[i] + mixed(0, i))
            say(header, "safetensors-offsets", "the tensors overlap, or leave bytes that belong to none");
}

static void name_take(struct header *header, struct name_set *names)
{
    uint64_t hash = name_hash(NAME_HASH, header->json.text, header->json.text_length);
    if (header->json.cut)
        return;
    if (name_set_full(names))
        header->full = true;
    else if (!name_set_add(names, hash))
        say(header, "safetensors-duplicate-key", "a name stands twice, and readers take different ones");
}

static void key_read(struct header *header)
{
    struct json *json = &header->json;
    struct tensor *tensor = &header->tensor;
    if (json->depth == 1) {
        header->metadata = json_text_is(json, "__metadata__");
        name_take(header, &header->names);
        *tensor = (struct tensor){.place = json->offset, .sized = true, .elements = 1};
    } else if (header->metadata) {
        name_take(header, &header->notes);
    } else {
        header->key = json_text_is(json, "dtype") ? KEY_DTYPE : json_text_is(json, "shape") ? KEY_SHAPE
                      : json_text_is(json, "data_offsets") ? KEY_OFFSETS : KEY_OTHER;
        if (tensor->seen & 1u << header->key)
            say(header, "safetensors-duplicate-key", "a tensor is described twice, and readers take different ones");
        tensor->seen |= 1u << header->key;
    }
}

static void number_read(struct header *header)
{
    struct json *json = &header->json;
    struct tensor *tensor = &header->tensor;
    if (json->depth != 3 || header->metadata || !json->whole) {
        say(header, "safetensors-tensor", "a number where none belongs");
    } else if (header->key == KEY_OFFSETS) {
        *(tensor->offsets ? &tensor->end : &tensor->begin) = json->number;
        tensor->offsets++;
    } else if (header->key == KEY_SHAPE) {
        if (json->number && tensor->elements > UINT64_MAX / json->number)
            tensor->sized = false;
        tensor->elements *= json->number;
    }
}

static void event_read(struct header *header, enum json_event event)
{
    struct json *json = &header->json;
    switch (event) {
    case JSON_KEY:
        key_read(header);
        break;
    case JSON_STRING:
        if (header->metadata ? json->depth != 2 : json->depth != 2 || header->key != KEY_DTYPE)
            say(header, header->metadata ? "safetensors-metadata" : "safetensors-tensor", "a text where none belongs");
        else if (!header->metadata)
            header->tensor.bits = dtype_bits(json->text);
        break;
    case JSON_NUMBER:
        number_read(header);
        break;
    case JSON_OBJECT_END:
        if (json->depth == 1 && !header->metadata)
            tensor_end(header);
        break;
    case JSON_ARRAY:
        if (json->depth != 3 || header->metadata)
            say(header, "safetensors-tensor", "a list where none belongs");
        break;
    case JSON_OBJECT:
        if (json->depth > 2)
            say(header, "safetensors-tensor", "an object where none belongs");
        break;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        say(header, "safetensors-tensor", "a value where none belongs");
        break;
    default:
        break;
    }
}

/* Reads the header; false: no memory. */
static bool header_read(struct header *header, struct arena *arena, const struct source *source, uint64_t length)
{
    /* The shortest description takes some 50 bytes. */
    size_t names = length / 48 < LIMIT_SAFETENSORS_NAMES ? (size_t)(length / 48) : LIMIT_SAFETENSORS_NAMES;
    struct source_slice slice = {source, 8};
    struct source text = source_from_slice(&slice, length);
    enum json_event event;
    if (!name_set_open(&header->names, arena, names) || !name_set_open(&header->notes, arena, names) ||
        !json_open(&header->json, arena, &text))
        return false;
    do {
        event = json_next(&header->json);
        event_read(header, event);
    } while (event != JSON_FAILED && event != JSON_FINISHED && !header->scan->stopped);
    if (header->json.error == JSON_ERROR_IO)
        scan_failed(header->scan, SCAN_IO, header->json.reader.error);
    else if (event == JSON_FAILED)
        say(header, "safetensors-header", "the header is no JSON");
    else if (header->full)
        scan_opaque(header->scan, FORMAT, "safetensors-size", 8, "more tensors than are told apart");
    else
        cover_judge(header);
    return true;
}

static bool safetensors_run(struct scan *scan, const struct source *source)
{
    unsigned char head[4096], tail[64];
    struct header *header = arena_take(scan->arena, sizeof *header);
    ssize_t got = source_read(source, head, sizeof head, 0);
    if (!header || got < 0) {
        scan_failed(scan, header ? SCAN_IO : SCAN_MEMORY, header ? (int)-got : 0);
        return true;
    }
    uint64_t length = got >= 8 ? load_le64(head) : 0;
    if (!header_begins(head, (size_t)got, source->size)) {
        if (!header_broken(head, (size_t)got))
            return false;
        scan_is(scan, FORMAT);
        scan_malformed(scan, FORMAT, "safetensors-header-size", 0,
                       length > HEADER_MAX ? "a longer header than readers accept" : "the file ends within its header");
        return true;
    }
    size_t want = length - 1 < sizeof tail ? (size_t)(length - 1) : sizeof tail;
    got = source_read(source, tail, want, 8 + length - want);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    if (got != (ssize_t)want)
        return false;
    while (got > 0 && tail[got - 1] == ' ')
        got--;
    /* Padding is to a multiple of 8; anything else than the end of an object is another format's length and text. */
    if (got == 0 || tail[got - 1] != '}')
        return false;
    scan_is(scan, FORMAT);
    header->scan = scan;
    header->unlimited = source->size == SOURCE_SIZE_UNKNOWN;
    header->length = source->size - 8 - length;
    if (!header_read(header, scan->arena, source, length))
        scan_failed(scan, SCAN_MEMORY, 0);
    return true;
}

const struct format format_safetensors = {FORMAT, safetensors_bid, safetensors_run};
