#include "frame_layout.h"

#include <string.h>

static const struct frame_layout layouts[] = {
#define FRAME_OFFSETS(minor, lines, in_cframe, ...) {minor, lines, in_cframe, __VA_ARGS__},
#include "frame_offsets.def"
#undef FRAME_OFFSETS
};

/* The first members of 3.13's _PyRuntime, as Include/internal/pycore_runtime.h declares them. All are 64-bit words. */
struct debug_offsets {
    char cookie[8];
    uint64_t version, free_threaded;
    struct { uint64_t size, finalizing, interpreters_head; } runtime;
    struct {
        uint64_t size, id, next, threads_head, gc, imports_modules, sysdict, builtins, ceval_gil, gil_runtime_state,
            gil_runtime_state_enabled, gil_runtime_state_locked, gil_runtime_state_holder;
    } interpreter;
    struct {
        uint64_t size, prev, next, interp, current_frame, thread_id, native_thread_id, datastack_chunk, status;
    } thread;
    struct { uint64_t size, previous, executable, instr_ptr, localsplus, owner; } frame;
    struct {
        uint64_t size, filename, name, qualname, linetable, firstlineno, argcount, localsplusnames, localspluskinds,
            co_code_adaptive;
    } code;
    struct { uint64_t size, ob_type; } object;
    struct { uint64_t size, tp_name, tp_repr, tp_flags; } type;
    struct { uint64_t size, ob_item, ob_size; } tuple, list;
    struct { uint64_t size, ma_keys, ma_values; } dict;
    struct { uint64_t size, ob_fval; } floating;
    struct { uint64_t size, lv_tag, ob_digit; } number;
    struct { uint64_t size, ob_size, ob_sval; } bytes;
    struct { uint64_t size, state, length, asciiobject_size; } unicode;
};

/* No structure read here is larger; what claims to be is no offset. */
#define OFFSET_MAX 4096u

static const struct frame_layout *layout_of_runtime(const struct python *python)
{
    static struct frame_layout layout;
    const struct debug_offsets *own = python->runtime;
    if (own == NULL || memcmp(own->cookie, "xdebugpy", sizeof(own->cookie)) != 0 || own->version >> 16 != 0x030D)
        return NULL;
    const uint64_t offsets[] = {
        own->thread.current_frame, own->frame.previous, own->frame.executable, own->frame.instr_ptr, own->frame.owner,
        own->code.filename, own->code.name, own->code.firstlineno, own->code.linetable, own->code.co_code_adaptive,
        own->object.ob_type, own->bytes.ob_size, own->bytes.ob_sval, own->unicode.length, own->unicode.asciiobject_size,
    };
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        if (offsets[i] > OFFSET_MAX)
            return NULL;
    layout = (struct frame_layout){
        .minor = python->minor,
        .lines = LINES_LOCATIONS,
        .thread_frame = (uint16_t)own->thread.current_frame,
        .frame_back = (uint16_t)own->frame.previous,
        .frame_code = (uint16_t)own->frame.executable,
        .frame_instruction = (uint16_t)own->frame.instr_ptr,
        .frame_owner = (uint16_t)own->frame.owner,
        .code_file = (uint16_t)own->code.filename,
        .code_name = (uint16_t)own->code.name,
        .code_first_line = (uint16_t)own->code.firstlineno,
        .code_lines = (uint16_t)own->code.linetable,
        .code_instructions = (uint16_t)own->code.co_code_adaptive,
        .object_type = (uint16_t)own->object.ob_type,
        .bytes_size = (uint16_t)own->bytes.ob_size,
        .bytes_data = (uint16_t)own->bytes.ob_sval,
        .text_length = (uint16_t)own->unicode.length,
        .text_ascii = (uint16_t)own->unicode.asciiobject_size,
        /* PyCompactUnicodeObject adds utf8_length and utf8. */
        .text_compact = (uint16_t)(own->unicode.asciiobject_size + 2 * sizeof(void *)),
    };
    return &layout;
}

const struct frame_layout *frame_layout_find(const struct python *python)
{
    if (python->minor >= 13)
        return layout_of_runtime(python);
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
        if (layouts[i].minor == python->minor)
            return &layouts[i];
    return NULL;
}

/* Pairs: bytecode bytes to move, lines to add. */
static int line_from_lnotab(const unsigned char *table, size_t length, int line, ptrdiff_t address)
{
    ptrdiff_t at = 0;
    for (size_t i = 0; i + 1 < length; i += 2) {
        at += table[i];
        if (at > address)
            break;
        line += (int8_t)table[i + 1];
    }
    return line;
}

/* Pairs: bytes that this entry covers, lines added before it; -128: they have no line. */
static int line_from_linetable(const unsigned char *table, size_t length, int line, ptrdiff_t address)
{
    ptrdiff_t end = 0;
    for (size_t i = 0; i + 1 < length; i += 2) {
        int8_t delta = (int8_t)table[i + 1];
        end += table[i];
        if (delta != -128)
            line += delta;
        if (address < end)
            return delta != -128 ? line : 0;
    }
    return 0;
}

/* A little-endian number of 6-bit groups, bit 6 set where another follows, its lowest bit the sign. */
static int signed_varint(const unsigned char *table, size_t length, size_t at)
{
    unsigned value = 0;
    for (unsigned shift = 0; at < length && shift < 30; at++, shift += 6) {
        value |= (table[at] & 63u) << shift;
        if ((table[at] & 64u) == 0)
            break;
    }
    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

/* Entries start with bit 7 set, which no other byte has: kind in bits 3-6, covered code units less one in bits 0-2. */
static int line_from_locations(const unsigned char *table, size_t length, int line, ptrdiff_t address)
{
    ptrdiff_t end = 0;
    for (size_t i = 0; i < length;) {
        unsigned kind = table[i] >> 3 & 15u;
        end += 2 * ((table[i] & 7) + 1);
        if (kind >= 10 && kind <= 12)
            line += (int)kind - 10;
        else if (kind == 13 || kind == 14)
            line += signed_varint(table, length, i + 1);
        if (address < end)
            return kind != 15 ? line : 0;
        do
            i++;
        while (i < length && (table[i] & 0x80u) == 0);
    }
    return 0;
}

int frame_line(enum frame_lines lines, const unsigned char *table, size_t length, int first_line, ptrdiff_t address)
{
    if (address < 0)
        return first_line;
    switch (lines) {
    case LINES_LNOTAB:
        return line_from_lnotab(table, length, first_line, address);
    case LINES_LINETABLE:
        return line_from_linetable(table, length, first_line, address);
    default:
        return line_from_locations(table, length, first_line, address);
    }
}
