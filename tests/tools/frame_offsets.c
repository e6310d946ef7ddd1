/* Prints the row of preload/frame_offsets.def for the Python whose headers it is compiled with.
 *
 * Regenerate all rows (headers of the versions to be claimed, release builds):
 *     for python in ~/.pyenv/versions/3.{8,9,10,11,12}.*; do
 *         gcc -I"$(echo "$python"/include/python3.*)" -o /tmp/offsets tests/tools/frame_offsets.c && /tmp/offsets
 *     done
 * From 3.13 on the interpreter itself says where its fields lie (_Py_DebugOffsets); no row is needed. */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#if PY_VERSION_HEX >= 0x030B0000
#include <internal/pycore_frame.h>
#include <internal/pycore_code.h>
#else
#include <frameobject.h>
#endif

int main(void)
{
#if PY_VERSION_HEX >= 0x030B0000
    const size_t thread_frame = offsetof(PyThreadState, cframe);
    const size_t in_cframe = offsetof(_PyCFrame, current_frame);
    const size_t back = offsetof(_PyInterpreterFrame, previous);
    const size_t code = offsetof(_PyInterpreterFrame, f_code);
    const size_t instruction = offsetof(_PyInterpreterFrame, prev_instr);
    const size_t owner = offsetof(_PyInterpreterFrame, owner);
    const size_t code_lines = offsetof(PyCodeObject, co_linetable);
    const size_t code_instructions = offsetof(PyCodeObject, co_code_adaptive);
    const char *lines = "LINES_LOCATIONS";
    const char *via = "true";
#else
    const size_t thread_frame = offsetof(PyThreadState, frame);
    const size_t in_cframe = 0;
    const size_t back = offsetof(PyFrameObject, f_back);
    const size_t code = offsetof(PyFrameObject, f_code);
    const size_t instruction = offsetof(PyFrameObject, f_lasti);
    const size_t owner = 0;
    const size_t code_instructions = 0;
    const char *via = "false";
#if PY_VERSION_HEX >= 0x030A0000
    const size_t code_lines = offsetof(PyCodeObject, co_linetable);
    const char *lines = "LINES_LINETABLE";
#else
    const size_t code_lines = offsetof(PyCodeObject, co_lnotab);
    const char *lines = "LINES_LNOTAB";
#endif
#endif
    printf("FRAME_OFFSETS(%d, %s, %s, "
           "%zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu, %zu)\n",
           PY_MINOR_VERSION, lines, via, thread_frame, in_cframe, back, code, instruction, owner,
           offsetof(PyCodeObject, co_filename), offsetof(PyCodeObject, co_name), offsetof(PyCodeObject, co_firstlineno),
           code_lines, code_instructions, offsetof(PyObject, ob_type), offsetof(PyVarObject, ob_size),
           offsetof(PyBytesObject, ob_sval), offsetof(PyASCIIObject, length), sizeof(PyASCIIObject),
           sizeof(PyCompactUnicodeObject));
    return 0;
}
