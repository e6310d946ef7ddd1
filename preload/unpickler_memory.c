#include "unpickler_memory.h"

#include "guard.h"
#include "native.h"
#include "unpickler_learn.h"

#include <string.h>

/* No header of CPython's describes the unpickler's object: where it keeps what matters is found in one of our own. */
static struct layout {
    size_t type;         /* of any object's ob_type */
    size_t buffer, read; /* of the Py_buffer that it reads from, and of its file's read() */
    struct py_object *unpickler, *reader, *buffered; /* the classes Unpickler, BytesIO and BufferedReader */
} layout;

enum { LAYOUT_NOT_YET, LAYOUT_BUSY, LAYOUT_DONE, LAYOUT_FAILED };
static int layout_state;

/* Deeper stacks between an audit event and the unpickler do not happen: six frames of C. */
#define STACK_MAX (64u << 10)
/* Of that, load()'s own frame and what the functions that it called saved first: what is found there is not looked for
 * further down, as each word costs system calls. */
#define STACK_NEAR 1024u
/* References to an unpickler that runs: a few. A freed one has none. */
#define REFERENCES_MAX 0xFFFFu

#define WORD sizeof(uintptr_t)

static uintptr_t word_at(uintptr_t address)
{
    uintptr_t word;
    memcpy(&word, (const void *)address, sizeof(word));
    return word;
}

static bool is_address(uintptr_t word)
{
    return word >= 4096 && word % WORD == 0;
}

/* The type of the object that `word` may point to, 0 when it points to none. */
static uintptr_t type_of(uintptr_t word)
{
    if (!is_address(word) || !native_readable(word) || !native_readable(word + layout.type))
        return 0;
    return word_at(word + layout.type);
}

static bool is_unpickler(uintptr_t word)
{
    uintptr_t type = type_of(word);
    if (type == 0 || type_of(type) != (uintptr_t)python_api()->PyType_Type)
        return false;
    uint32_t references = (uint32_t)word_at(word);
    return references > 0 && references <= REFERENCES_MAX &&
           python_api()->PyType_IsSubtype((struct py_object *)type, layout.unpickler) != 0;
}

/* --- the layout, once */

/* A frame of 23 bytes, which the unpickler reads into its buffer at once and leaves there. */
static const char sample[] = "\x80\x04\x95\x17\0\0\0\0\0\0\0X\x11\0\0\0one frame's bytes.";
#define SAMPLE_FRAME 11u
#define SAMPLE_LENGTH (sizeof(sample) - 1)

static size_t find_type(struct py_object *bytes)
{
    for (size_t at = WORD; at <= 4 * WORD; at += WORD)
        if (word_at((uintptr_t)bytes + at) == (uintptr_t)python_api()->PyBytes_Type)
            return at;
    return 0;
}

/* A Py_buffer begins with the bytes, their owner and how many they are. */
static bool is_sample(uintptr_t at)
{
    uintptr_t data = word_at(at), length = word_at(at + 2 * WORD);
    return length == SAMPLE_LENGTH - SAMPLE_FRAME && data >= 4096 && native_readable(data) &&
           native_readable(data + length) && memcmp((const void *)data, sample + SAMPLE_FRAME, length) == 0;
}

/* The file behind a bound read() of a type in C: a new reference, or NULL. */
static struct py_object *reader_of(uintptr_t method)
{
    if (type_of(method) != (uintptr_t)python_api()->PyCFunction_Type)
        return NULL;
    return python_attribute((struct py_object *)method, "__self__");
}

static void find_members(struct py_object *object, struct py_object *file, size_t size)
{
    for (size_t at = 2 * WORD; at + 3 * WORD <= size; at += WORD) {
        uintptr_t place = (uintptr_t)object + at;
        if (layout.buffer == 0 && is_sample(place))
            layout.buffer = at;
        struct py_object *reader = layout.read == 0 ? reader_of(word_at(place)) : NULL;
        if (reader != NULL && reader == file)
            layout.read = at;
        python_release(reader);
    }
}

static bool learn(void)
{
    const struct python *python = python_api();
    struct py_object *bytes = python->PyBytes_FromStringAndSize(sample, (ptrdiff_t)SAMPLE_LENGTH);
    layout.unpickler = python_attribute(python_module("_pickle"), "Unpickler");
    layout.reader = python_attribute(python_module("_io"), "BytesIO");
    layout.buffered = python_attribute(python_module("_io"), "BufferedReader");
    struct py_object *file = python_call(layout.reader, bytes);
    struct py_object *object = file != NULL ? python_call(layout.unpickler, file) : NULL;
    struct py_object *load = python_attribute(object, "load");
    struct py_object *size = python_attribute(layout.unpickler, "__basicsize__");
    python_release(python_call(load, NULL));
    layout.type = bytes != NULL ? find_type(bytes) : 0;
    if (object != NULL && layout.type != 0)
        find_members(object, file, (size_t)python_number(size, 0));
    python_release(size);
    python_release(load);
    python_release(object);
    python_release(file);
    python_release(bytes);
    return layout.buffered != NULL && layout.buffer != 0 && layout.read != 0;
}

static bool learnt(void)
{
    int expected = LAYOUT_NOT_YET;
    if (__atomic_compare_exchange_n(&layout_state, &expected, LAYOUT_BUSY, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        __atomic_store_n(&layout_state, learn() ? LAYOUT_DONE : LAYOUT_FAILED, __ATOMIC_RELEASE);
    return __atomic_load_n(&layout_state, __ATOMIC_ACQUIRE) == LAYOUT_DONE;
}

/* --- the unpickler that runs */

static enum native_answer find_load(void *context, const struct native_frame *frame)
{
    uintptr_t *cfa = context;
    if (!unpickler_is(frame->ip))
        return NATIVE_GO_ON;
    *cfa = frame->cfa;
    return NATIVE_ENOUGH;
}

/* load() needs its object after the call that led here: the stack up to its end holds it, in a slot of its own or where
 * a function that it called saved the register. The highest is load()'s own. */
static __attribute__((noinline)) unsigned find_objects(uintptr_t objects[UNPICKLER_MEMORIES])
{
    uintptr_t cfa = 0, here;
    unsigned count = 0;
    __builtin_unwind_init();
    here = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(WORD - 1);
    native_visit(find_load, &cfa, STACK_MAX / WORD, false);
    if (cfa <= here || cfa - here > STACK_MAX)
        return 0;
    for (uintptr_t at = (cfa & ~(uintptr_t)(WORD - 1)) - WORD; at >= here && count < UNPICKLER_MEMORIES; at -= WORD) {
        uintptr_t word = word_at(at);
        bool known = false;
        if (count > 0 && cfa - at > STACK_NEAR)
            break;
        for (unsigned i = 0; i < count; i++)
            known = known || objects[i] == word;
        if (!known && is_unpickler(word))
            objects[count++] = word;
    }
    return count;
}

/* What loads() was given. */
static bool of_buffer(uintptr_t object, struct unpickler_memory *memory)
{
    uintptr_t data = word_at(object + layout.buffer), owner = word_at(object + layout.buffer + WORD);
    if (data == 0 || owner == 0 || type_of(owner) == 0)
        return false;
    *memory = (struct unpickler_memory){(const unsigned char *)data, word_at(object + layout.buffer + 2 * WORD),
                                        (struct py_object *)owner};
    python_api()->Py_IncRef(memory->owner);
    return true;
}

/* The whole of a BytesIO, also of one within a BufferedReader: its value is lent and not copied. Takes over the
 * reference. */
static bool of_reader(struct py_object *reader, struct unpickler_memory *memory)
{
    struct py_object *raw = python_is_kind(reader, layout.buffered) ? python_attribute(reader, "raw") : NULL;
    if (raw != NULL) {
        python_release(reader);
        reader = raw;
    }
    struct py_object *get = python_is_kind(reader, layout.reader) ? python_attribute(reader, "getvalue") : NULL;
    struct py_object *value = python_call(get, NULL), *length = NULL;
    bool found = python_is(value, python_api()->PyBytes_Type);
    if (found) {
        struct py_object *measure = python_attribute(value, "__len__");
        length = python_call(measure, NULL);
        python_release(measure);
        *memory = (struct unpickler_memory){(const unsigned char *)python_api()->PyBytes_AsString(value),
                                            (size_t)python_number(length, 0), value};
        value = NULL;
    }
    python_release(length);
    python_release(value);
    python_release(get);
    python_release(reader);
    return found;
}

/* The file of the unpickler in Python whose load() is the innermost: a new reference, or NULL. */
static struct py_object *pure_reader(void)
{
    const void *const *codes;
    unsigned count = unpickler_pure_codes(&codes);
    struct py_object *frame = python_api()->PyEval_GetFrame(), *reader = NULL;
    if (frame != NULL)
        python_api()->Py_IncRef(frame);
    for (bool found = false; frame != NULL && !found;) {
        struct py_object *code = python_attribute(frame, "f_code"), *back = NULL;
        for (unsigned i = 0; i < count; i++)
            found = found || code == codes[i];
        if (found) {
            struct py_object *locals = python_attribute(frame, "f_locals"), *get = python_attribute(locals, "get");
            struct py_object *name = python_string("self"), *self = python_call(get, name);
            struct py_object *read = python_attribute(self, "_file_read");
            reader = python_attribute(read, "__self__");
            python_release(read);
            python_release(self);
            python_release(name);
            python_release(get);
            python_release(locals);
        } else {
            back = python_attribute(frame, "f_back");
        }
        python_release(code);
        python_release(frame);
        frame = back;
    }
    return reader;
}

unsigned unpickler_memory_find(struct unpickler_memory found[UNPICKLER_MEMORIES])
{
    uintptr_t objects[UNPICKLER_MEMORIES];
    struct python_error error;
    unsigned count = 0;
    python_error_save(&error);
    bool ready = unpickler_known() && learnt();
    if (ready)
        count += of_reader(pure_reader(), &found[count]);
    unsigned objects_found = ready ? find_objects(objects) : 0;
    for (unsigned i = 0; i < objects_found && count < UNPICKLER_MEMORIES; i++) {
        uintptr_t read = word_at(objects[i] + layout.read);
        count += read != 0 ? of_reader(reader_of(read), &found[count]) : of_buffer(objects[i], &found[count]);
    }
    python_error_restore(&error);
    return count;
}

void unpickler_memory_release(struct unpickler_memory *found, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        python_release(found[i].owner);
}
