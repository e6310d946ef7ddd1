/* Opcodes that are followed by fields: lines, numbers, payloads and names. */
#ifndef GUARD_PICKLE_FIELD_H
#define GUARD_PICKLE_FIELD_H

#include "pickle.h"

/* A field has been read from `start` on. Does it cross the end of its frame? Python's unpickler raises then. C's goes
 * on, if it has all bytes in memory; when it reads from a file its buffer is the frame, and it forgets what is left of
 * it and reads the field behind. Then true, and the reader is there. */
bool field_cut(struct machine *machine, uint64_t start);
/* A line as readline()[:-1] gives it: at the end of the bytes without the last of them. Of a line
 * longer than LIMIT_PEEK only the beginning is shown, which holds LIMIT_NAME + 2 bytes. False: no bytes are left. */
bool line_take(struct machine *machine, const unsigned char **line, uint64_t *length);

/* pickle_field.c */
enum stream_end op_number(struct machine *machine, unsigned char op); /* INT, LONG, FLOAT, GET, PUT */
enum stream_end op_line(struct machine *machine, unsigned char op);   /* STRING, UNICODE, PERSID */
/* A length of one, four or eight bytes, and that many bytes of payload, which are not read here. */
enum stream_end op_sized(struct machine *machine, unsigned char op, uint64_t length);

/* pickle_global.c */
enum stream_end op_pair(struct machine *machine, unsigned char op); /* GLOBAL, INST */
enum stream_end op_stack_global(struct machine *machine);
/* A code of copyreg's extension registry: which name it stands for only the running program knows. */
enum stream_end op_extension(struct machine *machine, uint32_t code);

#endif
