#include "pickle.h"

#include <string.h>

struct compat {
    const char *module, *name; /* name NULL: the whole module */
    const char *to_module, *to_name;
};

static const struct compat compat_table[] = {
#define PAIR(module, name, to_module, to_name) {module, name, to_module, to_name},
#define MODULE(module, to_module) {module, NULL, to_module, NULL},
#include "pickle_compat.def"
#undef PAIR
#undef MODULE
};

static const struct {
    const char *text;
    enum role role;
} roles[] = {
    {"copyreg._reconstructor", ROLE_RECONSTRUCTOR},
    {"copy_reg._reconstructor", ROLE_RECONSTRUCTOR},
    {"copyreg.__newobj__", ROLE_NEWOBJ},
    {"copy_reg.__newobj__", ROLE_NEWOBJ},
    {"copyreg.__newobj_ex__", ROLE_NEWOBJ_EX},
    {"builtins.getattr", ROLE_GETATTR},
    {"__builtin__.getattr", ROLE_GETATTR},
    {"_codecs.encode", ROLE_ENCODE},
    {"codecs.encode", ROLE_ENCODE},
    {"builtins.bytes", ROLE_BYTES},
    {"builtins.bytearray", ROLE_BYTES},
    {"__builtin__.bytearray", ROLE_BYTES},
    {"builtins.object", ROLE_OBJECT},
    {"__builtin__.object", ROLE_OBJECT},
    {"builtins.type", ROLE_LOOKUP},
    {"__builtin__.type", ROLE_LOOKUP},
    {"logging.getLogger", ROLE_LOOKUP},
    {"dill._dill._load_type", ROLE_LOOKUP},
    {"_operator.getitem", ROLE_LOOKUP},
    {"functools.partial", ROLE_PARTIAL},
    {"_functools.partial", ROLE_PARTIAL},
    {"numpy.dtype", ROLE_DTYPE},
    {"joblib.numpy_pickle.NumpyArrayWrapper", ROLE_ARRAY},
    {"sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper", ROLE_ARRAY},
    {"joblib.numpy_pickle.NDArrayWrapper", ROLE_COMPANION},
    {"joblib.numpy_pickle.ZNDArrayWrapper", ROLE_COMPANION},
    {"joblib.numpy_pickle_compat.NDArrayWrapper", ROLE_COMPANION},
    {"joblib.numpy_pickle_compat.ZNDArrayWrapper", ROLE_COMPANION},
    {"sklearn.externals.joblib.numpy_pickle.NDArrayWrapper", ROLE_COMPANION},
    {"sklearn.externals.joblib.numpy_pickle.ZNDArrayWrapper", ROLE_COMPANION},
};

static bool spelt(const char *text, size_t length, const char *literal)
{
    return strlen(literal) == length && memcmp(text, literal, length) == 0;
}

/* As Unpickler.find_class looks it up: the pair first, then the module. */
static const struct compat *compat_find(const char *module, size_t module_length, const char *name, size_t name_length)
{
    size_t i;

    for (i = 0; i < sizeof compat_table / sizeof compat_table[0]; i++)
        if (spelt(module, module_length, compat_table[i].module) &&
            (!compat_table[i].name || spelt(name, name_length, compat_table[i].name)))
            return &compat_table[i];
    return NULL;
}

/* Writes one half of a name so that no two names look alike: NUL and other controls must not end or repaint it, a colon
 * must not pass for ours. Past LIMIT_NAME it is cut, and says so. Returns the end. */
static char *half_write(char *to, const char *from, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    bool cut = length > LIMIT_NAME;
    size_t i;

    for (i = 0; i < (cut ? LIMIT_NAME : length); i++) {
        unsigned char c = (unsigned char)from[i];

        if (c < 0x20 || c == 0x7f || c == ':' || c == '\\') {
            *to++ = '\\';
            *to++ = 'x';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        } else {
            *to++ = (char)c;
        }
    }
    if (cut) {
        memcpy(to, "...", 3);
        to += 3;
    }
    return to;
}

static size_t name_write(char *to, const char *module, size_t module_length, const char *name, size_t name_length,
                         uint32_t *written_module)
{
    char *at = half_write(to, module, module_length);

    *written_module = (uint32_t)(at - to);
    *at++ = memchr(name, '.', name_length) ? ':' : '.';
    at = half_write(at, name, name_length);
    *at = '\0';
    return (size_t)(at - to);
}

static uint32_t text_hash(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;

    while (length--)
        hash = (hash ^ (unsigned char)*text++) * 16777619u;
    return hash;
}

static enum role role_of(const struct name *name)
{
    size_t i;

    for (i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(name->text, roles[i].text) == 0 || (name->alias && strcmp(name->alias, roles[i].text) == 0))
            return roles[i].role;
    return ROLE_NONE;
}

/* The index of the name in scratch (and of its alias in the second half of scratch, if `alias_length`). */
static uint32_t name_intern(struct machine *machine, size_t length, uint32_t module_length, size_t alias_length,
                            uint32_t alias_module_length)
{
    const char *text = machine->scratch, *alias = machine->scratch + NAME_TEXT;
    const struct scan_memory *memory = &machine->scan->request->memory;
    uint32_t hash = text_hash(text, length);
    bool mapped = alias_length != 0;
    uint64_t key = hash;
    void *grown = machine->names;
    struct name *name;
    const uint64_t *found;

    while ((found = map_get(&machine->name_index, key)) != NULL) {
        name = &machine->names[*found];
        if (name->mapped == mapped && strcmp(name->text, text) == 0)
            return (uint32_t)*found;
        key++;
    }
    if (machine->name_count == machine->name_capacity) {
        if (!vector_grow(machine, &grown, &machine->name_capacity, machine->name_count + 1, sizeof *machine->names,
                         NAMES_MAX))
            return NAMES_MAX;
        machine->names = grown;
    }
    name = &machine->names[machine->name_count];
    *name = (struct name){.module_length = module_length, .alias_module_length = alias_module_length, .mapped = mapped};
    name->text = arena_copy(machine->scan->arena, text, length);
    if (mapped)
        name->alias = arena_copy(machine->scan->arena, alias, alias_length);
    if (!name->text || (mapped && !name->alias) ||
        !map_put(&machine->name_index, memory, NAMES_MAX, key, machine->name_count))
        return NAMES_MAX;
    name->role = (uint8_t)role_of(name);
    return (uint32_t)machine->name_count++;
}

static uint32_t name_seen(struct machine *machine, uint32_t index)
{
    struct name *name;

    machine->named = true;
    if (index == NAMES_MAX)
        return index;
    name = &machine->names[index];
    if (!name->reported && name->stream != machine->stream) {
        name->stream = machine->stream;
        name->offset = machine->offset;
    }
    return index;
}

/* As all names are in the standard library and installed packages; what random bytes read as is not. */
static bool spelt_plainly(const char *text, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return length > 0;
}

uint32_t name_find(struct machine *machine, const char *module, size_t module_length, const char *name,
                   size_t name_length)
{
    const struct compat *compat = NULL;
    uint32_t written, alias_written = 0;
    size_t length, alias_length = 0;

    length = name_write(machine->scratch, module, module_length, name, name_length, &written);
    if (machine->protocol < 3)
        compat = compat_find(module, module_length, name, name_length);
    if (compat)
        alias_length = name_write(machine->scratch + NAME_TEXT, compat->to_module, strlen(compat->to_module),
                                  compat->to_name ? compat->to_name : name,
                                  compat->to_name ? strlen(compat->to_name) : name_length, &alias_written);
    bool named = machine->named;
    uint32_t found = name_seen(machine, name_intern(machine, length, written, alias_length, alias_written));

    if (machine->doubtful && !(spelt_plainly(module, module_length) && spelt_plainly(name, name_length)))
        machine->named = named;
    return found;
}

/* "module.name" and an attribute: "module:name.attribute". */
static size_t attribute_write(char *to, const char *owner, uint32_t module_length, const char *attribute, size_t length)
{
    size_t owner_length = strlen(owner);
    char *at;

    /* Long chains of attributes end like long names do. */
    if (owner_length > LIMIT_NAME * 2)
        owner_length = LIMIT_NAME * 2;
    memcpy(to, owner, owner_length);
    if (module_length < owner_length)
        to[module_length] = ':';
    at = to + owner_length;
    *at++ = '.';
    at = half_write(at, attribute, length);
    *at = '\0';
    return (size_t)(at - to);
}

uint32_t name_attribute(struct machine *machine, uint32_t owner, const char *attribute, size_t length)
{
    const struct name *name = &machine->names[owner];
    size_t written, alias_written = 0;

    written = attribute_write(machine->scratch, name->text, name->module_length, attribute, length);
    if (name->alias)
        alias_written = attribute_write(machine->scratch + NAME_TEXT, name->alias, name->alias_module_length, attribute,
                                        length);
    return name_seen(machine, name_intern(machine, written, name->module_length, alias_written,
                                          name->alias_module_length));
}
