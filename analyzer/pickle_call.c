#include "pickle.h"

#include <string.h>

static struct name *callee_name(struct machine *machine, word callee)
{
    if (word_tag(callee) != TAG_GLOBAL || word_index(callee) == NAMES_MAX)
        return NULL;
    return &machine->names[word_index(callee)];
}

static word object_of(struct machine *machine, word callee)
{
    return value_made(machine, TAG_OBJECT, word_tag(callee) == TAG_GLOBAL ? word_index(callee) : NAMES_MAX);
}

/* Nothing about this invocation could be news to the receiver, not even that the stream acts. */
static bool invocation_settled(struct machine *machine, const struct name *name, enum effect_kind kind, word arguments)
{
    if (!machine->confirmed || !name || !(name->settled & 1u << kind) || machine->any_late ||
        word_tag(arguments) != TAG_TUPLE || arguments & TUPLE_NAMED)
        return false;
    /* But for what lies in bytes. */
    if (arguments & TUPLE_BYTES)
        report_bytes(machine, arguments, 0);
    return true;
}

static void create_report(struct machine *machine, word class, const word *arguments, size_t count, const char *detail)
{
    const struct invocation invocation = {.kind = EFFECT_CREATE, .callee = class, .arguments = arguments,
                                          .count = count, .known = true, .detail = detail};

    report_invocation(machine, &invocation);
}

/* An instance's own attributes that an opcode is about to call. */
static void hooks_report(struct machine *machine, word target)
{
    uint32_t at;
    struct invocation invocation = {.kind = EFFECT_CALL, .callee = TAG_UNKNOWN,
                                    .detail = "it was set as an attribute that loading calls"};

    if (!bits_get(&machine->hooked, target))
        return;
    for (at = value_links(machine, target); at; at = machine->links[at - 1].next) {
        invocation.callee = machine->links[at - 1].item;
        if (word_tag(invocation.callee) != TAG_GLOBAL)
            continue;
        report_invocation(machine, &invocation);
    }
    invocation.callee = TAG_UNKNOWN;
    report_invocation(machine, &invocation);
}

/* class.__new__(class, ...), as NEWOBJ and copyreg's helpers ask for it. An object of the stream's making may
 * have any. */
static word create(struct machine *machine, word class, struct invocation *invocation)
{
    if (word_tag(class) == TAG_OBJECT)
        hooks_report(machine, class);
    invocation->kind = word_tag(class) == TAG_GLOBAL ? EFFECT_CREATE : EFFECT_CALL;
    invocation->callee = class;
    report_invocation(machine, invocation);
    return object_of(machine, class);
}

/* copyreg._reconstructor(cls, base, state): object.__new__(cls), or base.__new__(cls, state) and base.__init__. */
static word call_reconstructor(struct machine *machine, const word *items)
{
    const struct name *base = callee_name(machine, items[1]);

    if (!base || base->role != ROLE_OBJECT) {
        const struct invocation invocation = {.kind = EFFECT_CALL, .callee = items[1], .arguments = items + 2,
                                              .count = 1, .known = true};

        if (word_tag(items[1]) == TAG_OBJECT)
            hooks_report(machine, items[1]);
        report_invocation(machine, &invocation);
    }
    create_report(machine, items[0], items + 2, 1, NULL);
    return object_of(machine, items[0]);
}

/* getattr(thing, "name"): the name of an attribute of a named thing is a name as well. Of an object it may be a method:
 * a callable that counts as one without a name wherever it is handed; its name, by the object's class, is told as
 * appearing. */
static word call_getattr(struct machine *machine, const word *items, size_t count)
{
    struct arena_mark mark = arena_mark(machine->scan->arena);
    struct text text = {"?", 1, false};
    char attribute[LIMIT_NAME + 2];
    size_t length;
    uint32_t name;

    if (count < 2 || (word_tag(items[0]) != TAG_GLOBAL && word_tag(items[0]) != TAG_OBJECT) ||
        word_index(items[0]) == NAMES_MAX)
        return word_global(NAMES_MAX);
    if ((word_tag(items[1]) == TAG_STRING || word_tag(items[1]) == TAG_STRING8) &&
        !text_load(machine, items[1], LIMIT_NAME + 1, &text))
        text = (struct text){"?", 1, false};
    /* The text goes with the mark, before the name is taken from the same arena. */
    length = text.length < sizeof attribute ? text.length : sizeof attribute;
    memcpy(attribute, text.bytes, length);
    arena_release(machine->scan->arena, mark);
    name = name_attribute(machine, word_index(items[0]), attribute, length);
    if (name != NAMES_MAX && !machine->names[name].reported)
        machine->names[name].attribute = true;
    report_import(machine, name);
    return word_global(word_tag(items[0]) == TAG_GLOBAL ? name : NAMES_MAX);
}

static bool is_latin1(struct machine *machine, word codec)
{
    static const char *const names[] = {"latin1", "latin-1", "latin_1", "iso-8859-1", "iso8859-1", "l1"};
    size_t i;

    if (codec == machine->latin1)
        return true;
    if (word_tag(codec) != TAG_STRING && word_tag(codec) != TAG_STRING8)
        return false;
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (text_equals(machine, codec, names[i])) {
            machine->latin1 = codec;
            return true;
        }
    return false;
}

/* codecs.encode(text, "latin1") gives back the bytes that text stands for: how bytes are written below protocol 3. */
static word call_encode(struct machine *machine, const word *items, size_t count)
{
    if (count == 2 && is_latin1(machine, items[1])) {
        if (word_tag(items[0]) == TAG_STRING)
            return (items[0] & ~(word)15) | TAG_ENCODED;
        if (word_tag(items[0]) == TAG_STRING8)
            return (items[0] & ~(word)15) | TAG_BYTES;
    }
    return value_made(machine, TAG_OBJECT, NAMES_MAX);
}

static word call_bytes(struct machine *machine, word callee, const word *items, size_t count)
{
    if (count == 1 && (word_tag(items[0]) == TAG_BYTES || word_tag(items[0]) == TAG_ENCODED))
        return items[0];
    if (count == 2) {
        word encoded = call_encode(machine, items, count);

        if (word_tag(encoded) != TAG_OBJECT)
            return encoded;
    }
    return object_of(machine, callee);
}

/* The value that comes of calling `name` with arguments that are known. */
static word call_result(struct machine *machine, word callee, const word *items, size_t count)
{
    const struct name *name = callee_name(machine, callee);
    word made;

    switch (name ? (enum role)name->role : ROLE_NONE) {
    case ROLE_GETATTR:
        return call_getattr(machine, items, count);
    case ROLE_ENCODE:
        return call_encode(machine, items, count);
    case ROLE_BYTES:
        return call_bytes(machine, callee, items, count);
    case ROLE_DTYPE:
        made = object_of(machine, callee);
        joblib_dtype_made(machine, made, items, count);
        return made;
    case ROLE_LOOKUP:
        return TAG_UNKNOWN;
    case ROLE_PARTIAL:
        /* Whoever calls it calls what it holds. */
        made = object_of(machine, callee);
        value_insert(machine, made, items, count, false);
        return made;
    default:
        return object_of(machine, callee);
    }
}

/* copyreg's own helpers create; they are not what the stream is about. Returns TAG_NOTHING for every other call. */
static word call_copyreg(struct machine *machine, word callee, const word *items, size_t count)
{
    const struct name *name = callee_name(machine, callee);
    struct invocation invocation;

    if (!name || count == 0)
        return TAG_NOTHING;
    switch ((enum role)name->role) {
    case ROLE_RECONSTRUCTOR:
        return count == 3 ? call_reconstructor(machine, items) : (word)TAG_NOTHING;
    case ROLE_NEWOBJ:
        invocation = (struct invocation){.arguments = items + 1, .count = count - 1, .known = true};
        return create(machine, items[0], &invocation);
    case ROLE_NEWOBJ_EX:
        if (count != 3)
            return TAG_NOTHING;
        invocation = invocation_of(machine, EFFECT_CREATE, items[0], items[1]);
        invocation.keywords = items[2];
        return create(machine, items[0], &invocation);
    default:
        return TAG_NOTHING;
    }
}

word call_items(struct machine *machine, word callee, const word *arguments, size_t count)
{
    const struct invocation invocation = {.kind = EFFECT_CALL, .callee = callee, .arguments = arguments,
                                          .count = count, .known = true};
    word made = call_copyreg(machine, callee, arguments, count);

    if (made != TAG_NOTHING)
        return made;
    report_invocation(machine, &invocation);
    return call_result(machine, callee, arguments, count);
}

/* Nothing tells what a value is that comes of a call with forgotten arguments. */
static word result_unknown(struct machine *machine, const struct name *name, word callee)
{
    switch (name ? (enum role)name->role : ROLE_NONE) {
    case ROLE_NONE:
    case ROLE_OBJECT:
        return object_of(machine, callee);
    default:
        return value_made(machine, TAG_OBJECT, NAMES_MAX);
    }
}

/* codecs.encode(text, "latin1") once more, of which nothing is new but the text. TAG_NOTHING for every other call. */
static word call_encode_again(struct machine *machine, struct name *name, word arguments)
{
    const word *items = word_tag(arguments) == TAG_TUPLE ? tuple_items(machine, arguments) : NULL;
    word made;

    if (!items || !machine->confirmed || name->role != ROLE_ENCODE || arguments & TUPLE_MORE)
        return TAG_NOTHING;
    made = call_encode(machine, items, tuple_count(arguments));
    if (word_tag(made) == TAG_OBJECT)
        return TAG_NOTHING;
    if (name->latin1_told)
        return made;
    name->latin1_told = true;
    return TAG_NOTHING;
}

word call_reduce(struct machine *machine, word callee, word arguments)
{
    struct name *name = callee_name(machine, callee);
    struct invocation invocation;
    word made;

    if (name && name->role == ROLE_NONE && invocation_settled(machine, name, EFFECT_CALL, arguments))
        return object_of(machine, callee);
    made = name ? call_encode_again(machine, name, arguments) : (word)TAG_NOTHING;
    if (made != TAG_NOTHING)
        return made;
    invocation = invocation_of(machine, EFFECT_CALL, callee, arguments);
    if (invocation.known)
        return call_items(machine, callee, invocation.arguments, invocation.count);
    report_invocation(machine, &invocation);
    return result_unknown(machine, name, callee);
}

word call_newobj(struct machine *machine, word callee, word arguments, word keywords)
{
    const struct name *name = callee_name(machine, callee);
    struct invocation invocation;

    if (word_tag(keywords) == TAG_NOTHING && invocation_settled(machine, name, EFFECT_CREATE, arguments))
        return object_of(machine, callee);
    invocation = invocation_of(machine, EFFECT_CREATE, callee, arguments);
    invocation.keywords = keywords;
    return create(machine, callee, &invocation);
}

void call_change(struct machine *machine, word target, const word *items, size_t count, bool pairs, const char *detail)
{
    if (word_tag(target) == TAG_OBJECT) {
        /* Setting items asks the type alone. */
        if (!pairs)
            hooks_report(machine, target);
    } else if (word_tag(target) == TAG_GLOBAL || word_tag(target) == TAG_UNKNOWN) {
        const struct invocation invocation = {.kind = EFFECT_CALL, .callee = target, .arguments = items,
                                              .count = count, .known = true, .detail = detail};

        report_invocation(machine, &invocation);
    }
}

/* Takes over from a state dict what an opcode may call later as an attribute of `target`. */
static void state_hooks(struct machine *machine, word target, word state)
{
    uint32_t at;

    if (word_tag(state) == TAG_OBJECT)
        bits_set(machine, &machine->hooked, target);
    else if (word_tag(state) != TAG_DICT)
        return;
    for (at = value_links(machine, state); at; at = machine->links[at - 1].next) {
        const struct link link = machine->links[at - 1];

        if (!key_is_hook(machine, link.key))
            continue;
        bits_set(machine, &machine->hooked, target);
        if (!value_bears_names(machine, link.item))
            continue;
        if (word_tag(link.item) == TAG_GLOBAL && text_equals(machine, link.key, "__class__"))
            create_report(machine, link.item, NULL, 0, "an object is turned into one of this class");
        value_insert(machine, target, &link.item, 1, false);
    }
}

void call_build(struct machine *machine, word target, word state)
{
    const struct name *class;
    const word *items;
    word pair[2];
    size_t count, i;

    if (word_tag(target) == TAG_GLOBAL || word_tag(target) == TAG_UNKNOWN) {
        call_change(machine, target, &state, 1, false, "its state is set, although the stream did not make it");
        /* Of a class or function that may be called it is another thing to change it, for the whole program. */
        if (word_tag(target) == TAG_GLOBAL && word_index(target) != NAMES_MAX)
            report_import(machine, name_attribute(machine, word_index(target), "__dict__", sizeof "__dict__" - 1));
        return;
    }
    if (word_tag(target) != TAG_OBJECT)
        return; /* what the opcodes make themselves has no state to set: both unpicklers raise */
    hooks_report(machine, target);
    class = word_index(target) == NAMES_MAX ? NULL : &machine->names[word_index(target)];
    if (class && class->role == ROLE_DTYPE)
        joblib_dtype_state(machine, target, state);
    if (class && class->role == ROLE_PARTIAL)
        value_insert(machine, target, &state, 1, false);
    if (class && class->role == ROLE_COMPANION)
        joblib_companion(machine, state);
    /* Names in a state are data, and so are bytes in a dict; what __setstate__ is handed as bytes may be a pickle. */
    if (!class || !(class->settled & 1u << EFFECT_CREATE))
        report_state(machine, target, state);
    report_bytes(machine, state, 0);
    state_hooks(machine, target, state);
    /* (state, slots). Copied, because remembering a hook may move the items. */
    items = word_tag(state) == TAG_TUPLE ? tuple_items(machine, state) : NULL;
    count = items ? tuple_count(state) : 0;
    if (count == 2) {
        memcpy(pair, items, sizeof pair);
        for (i = 0; i < 2; i++)
            state_hooks(machine, target, pair[i]);
    }
}

/* torch/storage.py: the bytes of one element; 0: not known. */
static unsigned storage_width(const struct name *class)
{
    static const struct {
        const char *type;
        unsigned width;
    } types[] = {
        {"Float", 4}, {"Double", 8}, {"Half", 2},   {"BFloat16", 2}, {"Long", 8},         {"Int", 4},
        {"Short", 2}, {"Char", 1},   {"Byte", 1},   {"Bool", 1},     {"ComplexFloat", 8}, {"ComplexDouble", 16},
        {"QInt8", 1}, {"QUInt8", 1}, {"QInt32", 4}, {"Untyped", 1},
    };
    const char *dot = class ? strrchr(class->text, '.') : NULL;

    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++) {
        size_t length = strlen(types[i].type);
        if (strncmp(dot + 1, types[i].type, length) == 0 && strcmp(dot + 1 + length, "Storage") == 0)
            return types[i].width;
    }
    return 0;
}

/* ("storage", class, key, location, elements, ...): notes how many bytes lie behind the pickles for it. */
static void storage_note(struct machine *machine, const word *items, unsigned count)
{
    struct storages *storages = machine->storages;
    struct arena_mark mark = arena_mark(machine->scan->arena);
    struct text key;
    uint64_t width = storage_width(callee_name(machine, items[1])), bytes;
    int64_t elements = count >= 5 && word_tag(items[4]) == TAG_INT ? word_int_value(items[4]) : -1;

    if (width == 0 || elements < 0 || !text_load(machine, items[2], LIMIT_NAME, &key) || key.cut) {
        storages->known = false;
    } else {
        uint64_t hash = name_hash(NAME_HASH, key.bytes, key.length);
        if (!name_set_has(&storages->keys, hash))
            storages->known &= name_set_add(&storages->keys, hash) &&
                               !__builtin_mul_overflow((uint64_t)elements, width, &bytes) &&
                               !__builtin_add_overflow(storages->bytes, bytes, &storages->bytes) &&
                               !__builtin_add_overflow(storages->bytes, 8u, &storages->bytes);
    }
    arena_release(machine->scan->arena, mark);
}

word call_persistent(struct machine *machine, word id)
{
    const word *items = word_tag(id) == TAG_TUPLE ? tuple_items(machine, id) : NULL;
    const struct name *class;
    word named;
    bool module;

    /* torch: ("storage", torch.FloatStorage, key, location, count) */
    if (!items || tuple_count(id) < 2 || word_tag(items[1]) != TAG_GLOBAL)
        return value_made(machine, TAG_OBJECT, NAMES_MAX);
    named = items[1];
    /* torch before 1.6, with the class's source for people to read: ("module", torch.nn.Linear, file, source) is the
     * class. */
    module = text_equals(machine, items[0], "module");
    if (machine->storages && text_equals(machine, items[0], "storage"))
        storage_note(machine, items, tuple_count(id));
    class = callee_name(machine, named);
    if (!machine->confirmed || !class || !(class->settled & 1u << EFFECT_CREATE))
        create_report(machine, named, NULL, 0, "named by a persistent id");
    return module ? named : object_of(machine, named);
}
