/* Opcodes by name, and one table of what each takes and gives. */
#ifndef GUARD_PICKLE_OPS_H
#define GUARD_PICKLE_OPS_H

#include <stdint.h>

enum pickle_op {
#define OP(name, byte, argument, takes, gives, does) OP_##name = (byte),
#include "pickle_ops.def"
#undef OP
};

enum pickle_argument {
    ARG_NONE, ARG_U1, ARG_U2, ARG_U4, ARG_U8, ARG_SIZED1, ARG_SIZED4, ARG_SIZED8, ARG_NUMBER, ARG_LINE, ARG_PAIR
};
enum { MARKED = 1, NAMES = 2, ACTS = 4, KNOWN = 8 };

struct pickle_shape {
    uint8_t argument; /* enum pickle_argument */
    uint8_t fixed;    /* bytes after the opcode that are always there: the fixed argument, or the length of a sized one */
    uint8_t takes, gives;
    uint8_t does; /* 0 for a byte that is no opcode; KNOWN is set for every other */
};
extern const struct pickle_shape pickle_shapes[256];

#define PICKLE_PROTOCOL_MAX 5

#endif
