#include "pickle.h"

#include <string.h>

bool vector_grow(struct machine *machine, void **pointer, size_t *capacity, size_t want, size_t size, size_t limit)
{
    const struct scan_memory *memory = &machine->scan->request->memory;
    size_t grown = *capacity ? *capacity : 64;
    void *taken;

    if (want > limit)
        return false;
    while (grown < want)
        grown *= 2;
    if (grown > limit)
        grown = limit;
    taken = memory->take(memory->context, grown * size);
    if (!taken) {
        scan_failed(machine->scan, SCAN_MEMORY, 0);
        return false;
    }
    if (*capacity) {
        memcpy(taken, *pointer, *capacity * size);
        memory->give(memory->context, *pointer, *capacity * size);
    }
    *pointer = taken;
    *capacity = grown;
    return true;
}

void vector_give(struct machine *machine, void *pointer, size_t bytes)
{
    const struct scan_memory *memory = &machine->scan->request->memory;

    if (pointer)
        memory->give(memory->context, pointer, bytes);
}

/* Capacities are powers of two, so that the place of an item needs no division: a tuple of a call has three of them. */
_Static_assert((LIMIT_PICKLE_RING & (LIMIT_PICKLE_RING - 1)) == 0,
               "vector_grow doubles from a power of two up to this");
static size_t ring_index(const struct ring *ring, uint64_t place) { return (size_t)place & (ring->capacity - 1); }

/* Stores `count` (<= LIMIT_PICKLE_TUPLE) items in one piece; false without memory. */
static bool ring_store(struct machine *machine, struct ring *ring, const word *items, size_t count, uint64_t *place)
{
    size_t at;

    *place = ring->next;
    if (count == 0) /* the first tuple of a stream may be empty, and there is no ring yet */
        return true;
    if (ring->next + count > ring->capacity && ring->capacity < LIMIT_PICKLE_RING) {
        void *grown = ring->items;

        if (!vector_grow(machine, &grown, &ring->capacity, (size_t)ring->next + count < LIMIT_PICKLE_RING
                         ? (size_t)ring->next + count : LIMIT_PICKLE_RING, sizeof *ring->items, LIMIT_PICKLE_RING))
            return false;
        ring->items = grown;
    }
    at = ring_index(ring, ring->next);
    if (at + count > ring->capacity) {
        ring->next += ring->capacity - at;
        at = 0;
    }
    memcpy(ring->items + at, items, count * sizeof *items);
    *place = ring->next;
    ring->next += count;
    return true;
}

static const word *ring_items(const struct ring *ring, uint64_t place)
{
    if (!ring->capacity || place > ring->next || ring->next - place > ring->capacity)
        return NULL;
    return ring->items + ring_index(ring, place);
}

const word *tuple_items(const struct machine *machine, word tuple)
{
    static const word none[1];

    if (tuple_count(tuple) == 0)
        return none;
    return ring_items(tuple & TUPLE_NAMED ? &machine->named_ring : &machine->plain, tuple_place(tuple));
}

word value_made(struct machine *machine, enum tag tag, uint32_t name)
{
    if (machine->next_id < IDENTITY_MAX)
        machine->next_id++;
    return word_made(tag, name, machine->next_id);
}

uint32_t value_links(const struct machine *machine, word container)
{
    const uint64_t *first = machine->link_count ? map_get(&machine->linked, word_id(container)) : NULL;

    return first ? (uint32_t)*first : 0;
}

bool container_bears_names(const struct machine *machine, word value)
{
    return machine->link_count && value_links(machine, value) != 0;
}

static bool value_bears_bytes(word value)
{
    switch (word_tag(value)) {
    case TAG_BYTES:
    case TAG_ENCODED:
    case TAG_STRING8:
        return text_length(value) >= PICKLED_LEAST;
    case TAG_TUPLE:
        return (value & TUPLE_BYTES) != 0;
    default:
        return false;
    }
}

void bits_set(struct machine *machine, struct bits *bits, word value)
{
    uint64_t id = word_id(value);
    void *grown = bits->words;

    if (id >= LIMIT_PICKLE_IDS)
        return;
    if (id / 64 >= bits->capacity) {
        if (!vector_grow(machine, &grown, &bits->capacity, (size_t)(id / 64) + 1, sizeof *bits->words,
                         LIMIT_PICKLE_IDS / 64))
            return;
        bits->words = grown;
    }
    bits->words[id / 64] |= (uint64_t)1 << (id & 63);
}

bool bits_get(const struct bits *bits, word value)
{
    uint64_t id = word_id(value);

    if (id >= LIMIT_PICKLE_IDS)
        return true;
    return id / 64 < bits->capacity && bits->words[id / 64] >> (id & 63) & 1;
}

static bool name_late(void *context, uint32_t name)
{
    struct machine *machine = context;

    if (name < NAMES_MAX)
        machine->names[name].late = true;
    return true;
}

/* From here on the names in `value` count as handed to every call that is handed a container. */
static void names_scatter(struct machine *machine, word value)
{
    struct name_walk walk = {name_late, machine, 0};

    machine->any_late = true;
    if (!value_names(machine, value, &walk, 0))
        machine->names_lost = true;
}

word value_tuple(struct machine *machine, const word *items, size_t count)
{
    size_t kept = count < LIMIT_PICKLE_TUPLE ? count : LIMIT_PICKLE_TUPLE, i;
    word flags = count > kept ? TUPLE_MORE : 0;
    uint64_t place = 0;

    for (i = 0; i < count; i++) {
        if (has_identity(items[i]))
            bits_set(machine, &machine->inside, items[i]);
        if (value_bears_names(machine, items[i])) {
            if (i < kept)
                flags |= TUPLE_NAMED;
            else
                names_scatter(machine, items[i]);
        } else if (value_bears_bytes(items[i])) {
            flags |= TUPLE_BYTES;
        }
    }
    /* A tuple with names whose bytes lie in a nested one keeps both flags. */
    for (i = 0; flags & TUPLE_NAMED && !(flags & TUPLE_BYTES) && i < kept; i++)
        if (value_bears_bytes(items[i]))
            flags |= TUPLE_BYTES;
    if (!ring_store(machine, flags & TUPLE_NAMED ? &machine->named_ring : &machine->plain, items, kept, &place))
        return TAG_UNKNOWN;
    return TAG_TUPLE | flags | (word)kept << 7 | place << 18;
}

static struct sample *sample_slot(const struct machine *machine, word container)
{
    return machine->samples ? &machine->samples[word_id(container) % SAMPLES] : NULL;
}

const word *container_items(const struct machine *machine, word container, size_t *count, bool *whole)
{
    const struct sample *sample = sample_slot(machine, container);
    const word *items;

    *count = 0;
    *whole = false;
    if (!sample || sample->id != word_id(container))
        return NULL;
    items = ring_items(&machine->plain, sample->place);
    if (items) {
        *count = sample->count;
        *whole = sample->whole;
    }
    return items;
}

static void sample_extend(struct machine *machine, struct sample *sample, const word *items, size_t count)
{
    const word *before = ring_items(&machine->plain, sample->place);
    word both[LIMIT_PICKLE_SAMPLE];

    if (!sample->whole)
        return;
    sample->whole = before && sample->count + count <= LIMIT_PICKLE_SAMPLE;
    if (!sample->whole)
        return;
    memcpy(both, before, sample->count * sizeof *both);
    memcpy(both + sample->count, items, count * sizeof *both);
    sample->whole = ring_store(machine, &machine->plain, both, sample->count + count, &sample->place);
    sample->count += (uint32_t)count;
}

/* Keeps the first items of a container. */
static void sample_add(struct machine *machine, word target, const word *items, size_t count)
{
    struct sample *sample = sample_slot(machine, target);
    uint64_t place;

    if (!sample) {
        size_t capacity = 0;
        void *taken = NULL;

        if (!vector_grow(machine, &taken, &capacity, SAMPLES, sizeof *machine->samples, SAMPLES))
            return;
        machine->samples = taken;
        sample = sample_slot(machine, target);
    }
    if (sample->id == word_id(target)) {
        sample_extend(machine, sample, items, count);
        return;
    }
    /* Only a newer container takes the place of another. So one that has had no sample yet, and is too new to have lost
     * it, has no items before these. */
    if (sample->id > word_id(target))
        return;
    sample->whole = count <= LIMIT_PICKLE_SAMPLE && machine->next_id - word_id(target) < SAMPLES;
    if (count > LIMIT_PICKLE_SAMPLE)
        count = LIMIT_PICKLE_SAMPLE;
    if (ring_store(machine, &machine->plain, items, count, &place)) {
        sample->id = word_id(target);
        sample->place = place;
        sample->count = (uint32_t)count;
    }
}

static void link_add(struct machine *machine, word target, word key, word item)
{
    uint64_t *first;
    void *grown = machine->links;

    if (machine->link_count == machine->link_capacity) {
        if (!vector_grow(machine, &grown, &machine->link_capacity, machine->link_count + 1, sizeof *machine->links,
                         LIMIT_PICKLE_LINKS)) {
            names_scatter(machine, item);
            return;
        }
        machine->links = grown;
    }
    first = map_get(&machine->linked, word_id(target));
    machine->links[machine->link_count] = (struct link){key, item, first ? (uint32_t)*first : 0};
    machine->link_count++;
    if (!map_put(&machine->linked, &machine->scan->request->memory, LIMIT_PICKLE_LINKS, word_id(target),
                 machine->link_count))
        scan_failed(machine->scan, SCAN_MEMORY, 0);
}

/* The attributes that the opcodes look up on an instance: BUILD, APPEND(S), ADDITEMS, Python's NEWOBJ; the one that
 * changes what it is; and those that dict() and numpy call on what they are handed. */
bool key_is_hook(struct machine *machine, word key)
{
    static const char *const hooks[] = {"add",     "append",    "extend",    "keys",
                                        "__new__", "__array__", "__class__", "__setstate__"};
    size_t i;

    if (word_tag(key) != TAG_STRING && word_tag(key) != TAG_STRING8)
        return true; /* a key that is no plain text may equal any */
    for (i = 0; i < sizeof hooks / sizeof hooks[0]; i++)
        /* Escapes and quotes make UNICODE and STRING longer than what they spell. */
        if (text_length(key) >= strlen(hooks[i]) && text_length(key) <= 10 * strlen(hooks[i]) &&
            (text_length(key) == strlen(hooks[i]) || !text_is_raw(key)) && text_equals(machine, key, hooks[i]))
            return true;
    return false;
}

/* Is a pair put into a dict to be remembered, because a name lies in it or it may become an attribute that
 * is called? */
static bool pair_matters(struct machine *machine, word key, word item)
{
    if (value_bears_names(machine, item) || value_bears_names(machine, key))
        return true;
    return word_tag(item) == TAG_OBJECT && (word_tag(key) == TAG_STRING || word_tag(key) == TAG_STRING8) &&
           key_is_hook(machine, key);
}

static bool words_are_plain(const word *items, size_t count)
{
    bool plain = true;
    size_t i;

    for (i = 0; i < count; i++)
        plain &= word_is_plain(items[i]);
    return plain;
}

void value_insert(struct machine *machine, word target, const word *items, size_t count, bool pairs)
{
    size_t step = pairs ? 2 : 1, i;
    bool identity = has_identity(target);

    if (identity && count)
        sample_add(machine, target, items, count);
    if (words_are_plain(items, count))
        return;
    for (i = 0; i < count; i++)
        if (has_identity(items[i]))
            bits_set(machine, &machine->inside, items[i]);
    for (i = 0; i < count; i += step) {
        word key = pairs ? items[i] : TAG_NOTHING, item = pairs ? items[i + 1] : items[i];

        if (pairs ? !pair_matters(machine, key, item) : !value_bears_names(machine, item))
            continue;
        if (!identity || bits_get(&machine->inside, target)) {
            names_scatter(machine, item);
            names_scatter(machine, key);
        }
        if (identity)
            link_add(machine, target, key, item);
    }
}

bool value_names(struct machine *machine, word value, struct name_walk *walk, unsigned depth)
{
    const word *items;
    uint32_t at;
    size_t i;
    bool told = true;

    if (!value_bears_names(machine, value))
        return true;
    if (depth > LIMIT_PICKLE_DEPTH || ++walk->steps > LIMIT_PICKLE_STEPS)
        return false;
    if (word_tag(value) == TAG_GLOBAL)
        return walk->each(walk->context, word_index(value));
    if (word_tag(value) == TAG_TUPLE) {
        items = tuple_items(machine, value);
        if (!items)
            return false;
        for (i = 0; i < tuple_count(value) && told; i++)
            told = value_names(machine, items[i], walk, depth + 1);
        return told;
    }
    for (at = value_links(machine, value); at && told; at = machine->links[at - 1].next)
        told = value_names(machine, machine->links[at - 1].key, walk, depth + 1) &&
               value_names(machine, machine->links[at - 1].item, walk, depth + 1);
    return told;
}

void value_reset(struct machine *machine)
{
    const struct scan_memory *memory = &machine->scan->request->memory;
    size_t i;

    /* Identities go on counting, so what is kept by identity needs no clearing; links are freed to stay within their
     * cap. */
    machine->link_count = 0;
    map_clear(&machine->linked, memory);
    for (i = 0; machine->any_late && i < machine->name_count; i++)
        machine->names[i].late = false;
    machine->any_late = machine->names_lost = false;
}

void value_close(struct machine *machine)
{
    const struct scan_memory *memory = &machine->scan->request->memory;

    vector_give(machine, machine->plain.items, machine->plain.capacity * sizeof(word));
    vector_give(machine, machine->named_ring.items, machine->named_ring.capacity * sizeof(word));
    vector_give(machine, machine->samples, SAMPLES * sizeof *machine->samples);
    vector_give(machine, machine->inside.words, machine->inside.capacity * sizeof *machine->inside.words);
    vector_give(machine, machine->hooked.words, machine->hooked.capacity * sizeof *machine->hooked.words);
    vector_give(machine, machine->links, machine->link_capacity * sizeof *machine->links);
    map_clear(&machine->linked, memory);
}
