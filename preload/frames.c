#include "frames.h"

#include "frame_layout.h"

#include <string.h>

enum { LAYOUT_UNCHECKED, LAYOUT_GOOD, LAYOUT_BAD, LAYOUT_ENDED };
static int layout_state;
static const struct frame_layout *layout; /* set before layout_state leaves LAYOUT_UNCHECKED */
static const struct python *python;

/* Frames that are no code of Python's, from 3.12 on: where C called in. */
#define OWNED_BY_C 3

static const void *load_pointer(const void *object, size_t offset)
{
    const void *value;
    memcpy(&value, (const char *)object + offset, sizeof(value));
    return value;
}

static ptrdiff_t load_size(const void *object, size_t offset)
{
    ptrdiff_t value;
    memcpy(&value, (const char *)object + offset, sizeof(value));
    return value;
}

static int load_int(const void *object, size_t offset)
{
    int value;
    memcpy(&value, (const char *)object + offset, sizeof(value));
    return value;
}

/* Is there an object of exactly this type? What is no aligned pointer is not looked at. */
static bool object_is(const void *object, const struct py_object *type)
{
    return object != NULL && ((uintptr_t)object & (sizeof(void *) - 1)) == 0 &&
           load_pointer(object, layout->object_type) == (const void *)type;
}

/* The innermost frame of this thread, or NULL. */
static const void *frame_first(void)
{
    /* Other threads' states are freed while the interpreter ends. */
    if (python->is_finalizing != NULL && python->is_finalizing() != 0)
        return NULL;
    const void *thread = python->PyGILState_GetThisThreadState();
    if (thread == NULL)
        return NULL;
    const void *frame = load_pointer(thread, layout->thread_frame);
    return layout->in_cframe && frame != NULL ? load_pointer(frame, layout->cframe_current) : frame;
}

/* The code that `frame` runs, or NULL when it is one of C's. */
static const void *frame_code(const void *frame)
{
    if (layout->minor >= 12 && *((const unsigned char *)frame + layout->frame_owner) >= OWNED_BY_C)
        return NULL;
    const void *code = load_pointer(frame, layout->frame_code);
    return object_is(code, python->PyCode_Type) ? code : NULL;
}

static const void *frame_back(const void *frame)
{
    return load_pointer(frame, layout->frame_back);
}

static int frame_line_of(const void *frame, const void *code)
{
    const void *table = load_pointer(code, layout->code_lines);
    if (!object_is(table, python->PyBytes_Type))
        return 0;
    ptrdiff_t length = load_size(table, layout->bytes_size);
    ptrdiff_t address;
    if (layout->lines == LINES_LOCATIONS)
        address = (const char *)load_pointer(frame, layout->frame_instruction) -
                  ((const char *)code + layout->code_instructions);
    else if (layout->lines == LINES_LINETABLE)
        address = 2 * (ptrdiff_t)load_int(frame, layout->frame_instruction);
    else
        address = load_int(frame, layout->frame_instruction);
    return frame_line(layout->lines, (const unsigned char *)table + layout->bytes_data, length < 0 ? 0 : (size_t)length,
                      load_int(code, layout->code_first_line), address);
}

/* UTF-8 of one code point; returns how many bytes. */
static unsigned encode(uint32_t point, char bytes[4])
{
    if (point < 0x80) {
        bytes[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        bytes[0] = (char)(0xC0 | point >> 6);
        bytes[1] = (char)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        bytes[0] = (char)(0xE0 | point >> 12);
        bytes[1] = (char)(0x80 | (point >> 6 & 63));
        bytes[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    bytes[0] = (char)(0xF0 | (point >> 18 & 7));
    bytes[1] = (char)(0x80 | (point >> 12 & 63));
    bytes[2] = (char)(0x80 | (point >> 6 & 63));
    bytes[3] = (char)(0x80 | (point & 63));
    return 4;
}

/* Where a str keeps its characters. */
struct text {
    const unsigned char *data;
    size_t length; /* characters */
    unsigned width; /* bytes each; 0: none there */
};

static struct text text_of(const void *object)
{
    struct text text = {NULL, 0, 0};
    if (!object_is(object, python->PyUnicode_Type))
        return text;
    /* interned:2 kind:3 compact:1 ascii:1, behind length and hash, 3.8 to 3.13 */
    unsigned state = (unsigned)load_int(object, layout->text_length + 2 * sizeof(ptrdiff_t));
    ptrdiff_t length = load_size(object, layout->text_length);
    unsigned width = state >> 2 & 7u;
    if ((state >> 5 & 1u) == 0 || length < 0 || (width != 1 && width != 2 && width != 4))
        return text;
    text.data = (const unsigned char *)object + ((state >> 6 & 1u) != 0 ? layout->text_ascii : layout->text_compact);
    text.length = (size_t)length;
    text.width = width;
    return text;
}

static uint32_t text_at(const struct text *text, size_t index)
{
    uint32_t point = 0;
    memcpy(&point, text->data + index * text->width, text->width); /* little-endian, as all this runs on */
    return point;
}

/* Copies what fits; `tail`: the end rather than the start, after "...". */
static void text_copy(const void *object, char *buffer, size_t size, bool tail)
{
    struct text text = text_of(object);
    char bytes[4];
    size_t used = 0, from = 0;
    if (tail) {
        size_t whole = 0;
        for (from = text.length; from > 0; from--) {
            whole += encode(text_at(&text, from - 1), bytes);
            if (whole + sizeof("...") > size)
                break;
        }
        if (from > 0) {
            memcpy(buffer, "...", 3);
            used = 3;
        }
    }
    for (; from < text.length; from++) {
        unsigned count = encode(text_at(&text, from), bytes);
        if (used + count + 1 > size)
            break;
        memcpy(buffer + used, bytes, count);
        used += count;
    }
    buffer[used] = '\0';
}

static unsigned walk(struct frame *frames, unsigned max)
{
    unsigned count = 0;
    for (const void *frame = frame_first(); frame != NULL && count < max; frame = frame_back(frame)) {
        const void *code = frame_code(frame);
        if (code == NULL)
            continue;
        text_copy(load_pointer(code, layout->code_file), frames[count].file, sizeof(frames[count].file), true);
        text_copy(load_pointer(code, layout->code_name), frames[count].function, sizeof(frames[count].function), false);
        frames[count].line = frame_line_of(frame, code);
        count++;
    }
    return count;
}

static bool layout_good(void)
{
    return __atomic_load_n(&layout_state, __ATOMIC_ACQUIRE) == LAYOUT_GOOD;
}

unsigned frames_walk(struct frame *frames, unsigned max)
{
    return layout_good() ? walk(frames, max) : 0;
}

const char *frames_missing(void)
{
    const struct python *found = python_api();
    int state = __atomic_load_n(&layout_state, __ATOMIC_ACQUIRE);
    if (found == NULL)
        return "there is no interpreter, or it has just come";
    if (state == LAYOUT_ENDED || (found->is_finalizing != NULL && found->is_finalizing() != 0))
        return "the interpreter ends";
    if (found->PyGILState_GetThisThreadState() == NULL)
        return "the thread runs no Python";
    if (state == LAYOUT_GOOD)
        return "no Python code runs";
    return state == LAYOUT_BAD ? "this interpreter's frames cannot be read" : "the interpreter has just come";
}

const void *frames_innermost(void)
{
    const void *code = NULL;
    if (layout_good())
        for (const void *frame = frame_first(); frame != NULL && code == NULL; frame = frame_back(frame))
            code = frame_code(frame);
    return code;
}

static bool one_of(const void *code, const void *const *codes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (code == codes[i])
            return true;
    return false;
}

/* Walks until `depth` frames of code were seen, or, if `first`, one of `codes` was met. */
static unsigned search(const void *const *codes, unsigned count, unsigned depth, bool first, unsigned *hits)
{
    unsigned seen = 0;
    *hits = 0;
    if (!layout_good())
        return 0;
    for (const void *frame = frame_first(); frame != NULL && seen < depth; frame = frame_back(frame)) {
        const void *code = frame_code(frame);
        if (code == NULL)
            continue;
        if (one_of(code, codes, count)) {
            ++*hits;
            if (first)
                break;
        }
        seen++;
    }
    return seen;
}

unsigned frames_count(void)
{
    unsigned hits;
    return search(NULL, 0, FRAMES_SEARCHED, false, &hits);
}

unsigned frames_running(const void *const *codes, unsigned count, unsigned depth)
{
    unsigned hits;
    search(codes, count, depth, false, &hits);
    return hits;
}

unsigned frames_find(const void *const *codes, unsigned count)
{
    unsigned hits, at = search(codes, count, FRAMES_SEARCHED, true, &hits);
    return hits > 0 ? at : FRAMES_SEARCHED;
}

const void *frames_find_such(bool (*is)(const void *code), unsigned *at)
{
    *at = 0;
    if (layout_good())
        for (const void *frame = frame_first(); frame != NULL && *at < FRAMES_SEARCHED; frame = frame_back(frame)) {
            const void *code = frame_code(frame);
            if (code != NULL && is(code))
                return code;
            *at += code != NULL;
        }
    return NULL;
}

bool frames_code_claims(const void *code, const char *file)
{
    char claimed[32];
    text_copy(load_pointer(code, layout->code_file), claimed, sizeof(claimed), true);
    return strcmp(claimed, file) == 0;
}

/* Does the C API tell the same file, function and line for a frame object? */
static bool frame_agrees(const struct frame *walked, struct py_object *frame)
{
    struct py_object *code = python_attribute(frame, "f_code");
    struct py_object *file = python_attribute(code, "co_filename");
    struct py_object *name = python_attribute(code, "co_name");
    struct frame told = {{0}, {0}, 0};
    text_copy(file, told.file, sizeof(told.file), true);
    text_copy(name, told.function, sizeof(told.function), false);
    const char *file_text = python_text(file), *name_text = python_text(name);
    /* The reading of strings is itself on trial: what is short enough not to be cut has to be what Python says. */
    bool same = file_text != NULL && name_text != NULL && strcmp(told.file, walked->file) == 0 &&
                strcmp(told.function, walked->function) == 0 &&
                (strlen(file_text) >= sizeof(told.file) || strcmp(file_text, told.file) == 0) &&
                (strlen(name_text) >= sizeof(told.function) || strcmp(name_text, told.function) == 0) &&
                python->PyFrame_GetLineNumber(frame) == walked->line;
    python_release(name);
    python_release(file);
    python_release(code);
    return same;
}

/* Frames compared: enough to meet more than one kind of code on the way in. */
#define FRAMES_COMPARED 4u

void frames_check(void)
{
    if (layout_good() || frames_unknown())
        return;
    python = python_api();
    if (python == NULL)
        return;
    layout = frame_layout_find(python);
    if (layout == NULL) {
        __atomic_store_n(&layout_state, LAYOUT_BAD, __ATOMIC_RELEASE);
        return;
    }
    struct py_object *frame = python->PyEval_GetFrame();
    if (frame == NULL)
        return; /* start-up: nothing to compare yet */
    struct frame walked[FRAMES_COMPARED];
    unsigned count = walk(walked, FRAMES_COMPARED);
    bool same = count > 0;
    python->Py_IncRef(frame);
    for (unsigned i = 0; i < count && same; i++) {
        same = frame != NULL && frame_agrees(&walked[i], frame);
        struct py_object *back = python_attribute(frame, "f_back");
        python_release(frame);
        frame = back;
    }
    python_release(frame);
    __atomic_store_n(&layout_state, same ? LAYOUT_GOOD : LAYOUT_BAD, __ATOMIC_RELEASE);
}

void frames_forget(void)
{
    __atomic_store_n(&layout_state, LAYOUT_ENDED, __ATOMIC_RELEASE);
}

bool frames_known(void)
{
    return layout_good();
}

bool frames_unknown(void)
{
    return __atomic_load_n(&layout_state, __ATOMIC_ACQUIRE) == LAYOUT_BAD;
}
