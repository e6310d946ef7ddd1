#include "pickle_bid.h"
#include "pickle_ops.h"
#include "format.h"
#include "reader.h"

#include <string.h>

#define FIXED_ARG_NONE 0
#define FIXED_ARG_U1 1
#define FIXED_ARG_U2 2
#define FIXED_ARG_U4 4
#define FIXED_ARG_U8 8
#define FIXED_ARG_SIZED1 1
#define FIXED_ARG_SIZED4 4
#define FIXED_ARG_SIZED8 8
#define FIXED_ARG_NUMBER 0
#define FIXED_ARG_LINE 0
#define FIXED_ARG_PAIR 0

const struct pickle_shape pickle_shapes[256] = {
#define OP(name, byte, argument, takes, gives, does)                                                                   \
    [(byte)] = {ARG_##argument, FIXED_ARG_##argument, takes, gives, (does) | KNOWN},
#include "pickle_ops.def"
#undef OP
};

/* Bits: PROTO is 16 by itself, every further opcode that fits about 2 (70 of 256 bytes are opcodes). */
#define BID_PROTO 40u
#define BID_BARE 24u
#define BID_OPEN 12u
/* Real streams stay far below; past it the walk gives up counting and leaves the answer to the machine. */
#define WALK_MARKS 64

struct walk {
    const unsigned char *at, *end;
    uint64_t behind;     /* bytes that follow after `end` */
    bool proto, named, acted;
    unsigned depth, fence; /* items on the stack; items below the last mark */
    unsigned marks;
    uint16_t fences[WALK_MARKS];
};

enum step { STEP_ON, STEP_BAD, STEP_OUT, STEP_STOP };

/* The text of INT, LONG, FLOAT, PUT and GET begins like a number for every reader: this is what tells "Import" from
 * INT. */
static bool number_begins(const unsigned char *line, size_t length)
{
    while (length && (*line == ' ' || *line == '\t' || *line == '\v' || *line == '\f' || *line == '\r'))
        line++, length--;
    if (length && (*line == '-' || *line == '+'))
        line++, length--;
    if (length == 0)
        return false;
    if (*line >= '0' && *line <= '9')
        return true;
    /* float() also reads ".5", "inf" and "nan", in any case. */
    return *line == '.' || *line == 'i' || *line == 'I' || *line == 'n' || *line == 'N';
}

static bool integer_begins(const unsigned char *line, size_t length)
{
    return number_begins(line, length) && memchr(".iInN", line[0], 5) == NULL;
}

static bool is_ascii(const unsigned char *bytes, size_t length)
{
    while (length > 0 && *bytes < 0x80)
        bytes++, length--;
    return length == 0;
}

static enum step walk_line(struct walk *walk, unsigned char op, bool number)
{
    const unsigned char *newline = memchr(walk->at, '\n', (size_t)(walk->end - walk->at));
    size_t length = (size_t)((newline ? newline : walk->end) - walk->at);

    /* Both unpicklers raise on a persistent id that is not ASCII. So no zip of PyTorch's ("PK", and the pickle's PROTO
     * in front of the first newline) reads as a stream that begins with one. */
    if (op == OP_PERSID && !is_ascii(walk->at, length))
        return STEP_BAD;
    if (number && length && !(op == OP_FLOAT ? number_begins(walk->at, length) : integer_begins(walk->at, length)))
        return STEP_BAD;
    if (!newline)
        return STEP_OUT;
    if (number && !length)
        return STEP_BAD;
    /* A persistent id is text; quotes are what both unpicklers ask of STRING. */
    if (op == OP_STRING && (length < 2 || (*walk->at != '\'' && *walk->at != '"') || newline[-1] != *walk->at))
        return STEP_BAD;
    walk->at = newline + 1;
    return STEP_ON;
}

static enum step walk_sized(struct walk *walk, unsigned char op, const unsigned char *prefix, unsigned width)
{
    uint64_t length = width == 1 ? prefix[0] : width == 4 ? load_le32(prefix) : load_le64(prefix);

    if ((op == OP_BINSTRING || op == OP_LONG4) && length > INT32_MAX)
        return STEP_BAD;
    if (length <= (size_t)(walk->end - walk->at)) {
        walk->at += length;
        return STEP_ON;
    }
    /* A payload that cannot be there: both unpicklers raise. This is what tells bitcode and text from pickles. */
    if (length - (size_t)(walk->end - walk->at) > walk->behind)
        return STEP_BAD;
    walk->at = walk->end;
    return STEP_OUT;
}

/* Words of a text are no module: a licence that begins with "(C) 1995", has "r" where that many bytes end and goes on
 * with "This" names one by INST otherwise. Letters beyond ASCII may be parts of identifiers (PEP 3131). */
static bool module_begins(const unsigned char *line, const unsigned char *end)
{
    for (; line < end && *line != '\n'; line++)
        if (*line < 0x80 && !((*line | 32) >= 'a' && (*line | 32) <= 'z') && !(*line >= '0' && *line <= '9') &&
            *line != '_' && *line != '.')
            return false;
    return true;
}

static enum step walk_argument(struct walk *walk, unsigned char op, const struct pickle_shape *shape)
{
    const unsigned char *fixed = walk->at;
    enum step step;

    if (shape->fixed > walk->end - walk->at)
        return STEP_OUT;
    walk->at += shape->fixed;
    switch (shape->argument) {
    case ARG_SIZED1:
    case ARG_SIZED4:
    case ARG_SIZED8:
        return walk_sized(walk, op, fixed, shape->fixed);
    case ARG_NUMBER:
        return walk_line(walk, op, true);
    case ARG_LINE:
        return walk_line(walk, op, false);
    case ARG_PAIR:
        /* No interpreter finds a module of another name, short of a file that is called so. */
        if (!walk->proto && !module_begins(walk->at, walk->end))
            return STEP_BAD;
        step = walk_line(walk, op, false);
        return step == STEP_ON ? walk_line(walk, op, false) : step;
    default:
        if (op == OP_PROTO) {
            if (fixed[0] > PICKLE_PROTOCOL_MAX)
                return STEP_BAD;
            walk->proto = true;
        }
        return STEP_ON;
    }
}

/* What the opcode does to the depth of the stack; STEP_BAD where both unpicklers raise. */
static enum step walk_stack(struct walk *walk, unsigned char op, const struct pickle_shape *shape)
{
    if (op == OP_MARK) {
        if (walk->marks == WALK_MARKS)
            return STEP_OUT;
        walk->fences[walk->marks++] = (uint16_t)walk->depth;
        walk->fence = walk->depth;
        return STEP_ON;
    }
    if (shape->does & MARKED || (op == OP_POP && walk->marks && walk->depth == walk->fence)) {
        if (!walk->marks || (op == OP_OBJ && walk->depth == walk->fence))
            return STEP_BAD;
        walk->depth = walk->fences[--walk->marks];
        walk->fence = walk->marks ? walk->fences[walk->marks - 1] : 0;
    } else if (op == OP_POP) {
        if (walk->depth == walk->fence)
            return STEP_BAD;
        walk->depth--;
    }
    if (walk->depth - walk->fence < shape->takes)
        return STEP_BAD;
    walk->depth += shape->gives;
    walk->depth -= shape->takes;
    return STEP_ON;
}

static enum step walk_step(struct walk *walk)
{
    unsigned char op = *walk->at++;
    const struct pickle_shape *shape = &pickle_shapes[op];
    enum step step, stack;

    if (!shape->does)
        return STEP_BAD;
    if (op == OP_STOP)
        return walk->depth > walk->fence ? STEP_STOP : STEP_BAD;
    step = walk_argument(walk, op, shape);
    if (step == STEP_BAD)
        return STEP_BAD;
    /* Whatever comes of the stack, and even if the file ends instead of the line: one of the unpicklers resolves it. */
    walk->named |= (shape->does & NAMES) != 0;
    stack = walk_stack(walk, op, shape);
    if (stack != STEP_ON)
        return stack;
    walk->acted |= (shape->does & ACTS) != 0 && step == STEP_ON;
    return step;
}

unsigned pickle_bid(const unsigned char *bytes, size_t length, uint64_t size)
{
    struct walk walk = {.at = bytes, .end = bytes + length, .behind = size > length ? size - length : 0};
    enum step step = STEP_ON;

    if (length < 2)
        return 0;
    while (step == STEP_ON && walk.at < walk.end && !walk.acted && !(walk.proto && walk.named))
        step = walk_step(&walk);
    if (walk.proto && bytes[0] == OP_PROTO) {
        if (step != STEP_BAD || walk.named || walk.acted)
            return BID_PROTO;
        return 0;
    }
    if (walk.acted || (walk.named && (walk.proto || step == STEP_STOP)))
        return BID_BARE;
    if (step == STEP_BAD || step == STEP_STOP)
        return 0;
    /* Valid as far as can be seen. At the end of the bytes nothing more can come, elsewhere the machine goes on. */
    return walk.behind ? BID_OPEN : 0;
}

bool pickle_walk_acts(const unsigned char *bytes, size_t length)
{
    /* Items and marks enough that nothing is missing. */
    struct walk walk = {
        .at = bytes, .end = bytes + length, .behind = UINT64_MAX, .proto = true, .marks = WALK_MARKS / 2};
    enum step step = STEP_ON;
    unsigned i;

    for (i = 0; i < walk.marks; i++)
        walk.fences[i] = (uint16_t)(i * 1024 + 1024);
    walk.fence = walk.fences[walk.marks - 1];
    walk.depth = walk.fence + 1024;
    while (step == STEP_ON && walk.at < walk.end && !walk.acted && !walk.named)
        step = walk_step(&walk);
    return walk.acted || walk.named || step == STEP_OUT;
}
