/* Inside the frame walk only: where this interpreter keeps what a walk reads, and how it writes down lines. */
#ifndef GUARD_FRAME_LAYOUT_H
#define GUARD_FRAME_LAYOUT_H

#include "python.h"

enum frame_lines {
    LINES_LNOTAB,    /* to 3.9: co_lnotab, byte offsets */
    LINES_LINETABLE, /* 3.10: PEP 626 */
    LINES_LOCATIONS  /* from 3.11: PEP 657 */
};

/* Offsets in bytes, as frame_offsets.def explains. */
struct frame_layout {
    int minor;
    enum frame_lines lines;
    bool in_cframe;
    uint16_t thread_frame, cframe_current, frame_back, frame_code, frame_instruction, frame_owner;
    uint16_t code_file, code_name, code_first_line, code_lines, code_instructions;
    uint16_t object_type, bytes_size, bytes_data, text_length, text_ascii, text_compact;
};

/* The layout of the interpreter behind `python`, or NULL when it is not known. */
const struct frame_layout *frame_layout_find(const struct python *python);

/* The line of a code object's instruction at `address` (bytes from its first; negative: not begun), from its `length`
 * bytes of line table. 0 when the table gives none. */
int frame_line(enum frame_lines lines, const unsigned char *table, size_t length, int first_line, ptrdiff_t address);

#endif
