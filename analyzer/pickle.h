/* Inside the pickle machine only: its rooms and what they say to each other.
 *
 *   pickle.c          the format: the streams of a file, one after another
 *   pickle_bid.c      does a pickle begin here?
 *   pickle_machine.c  opcodes, as both CPython unpicklers execute them
 *   pickle_stack.c    stack, marks and memo; pickle_plain.c  the opcodes that need nothing else, and runs of all
 *   pickle_field.c    opcodes followed by lines and payloads; pickle_global.c by names
 *   pickle_value.c    what is known of the values: tuples, containers, which names lie in them
 *   pickle_text.c     strings and bytes, read again from the source where they matter
 *   pickle_argument.c values as people and policies read them
 *   pickle_name.c     names of globals, canonical and mapped
 *   pickle_call.c     what calling, creating and setting state mean
 *   pickle_report.c   effects, and what is handed along with them
 *   pickle_joblib.c   the arrays that joblib writes between the opcodes
 *
 * The machine executes what either unpickler would execute. Where one raises and the other goes on, it goes on. */
#ifndef GUARD_PICKLE_H
#define GUARD_PICKLE_H

#include "format.h"
#include "map.h"
#include "name_set.h"
#include "pickle_bid.h"
#include "pickle_ops.h"
#include "reader.h"

/* A value: a tag in the low four bits and what is known of it above. Strings and bytes are known by the place of the
 * opcode that pushed them, and read again when they matter. */
typedef uint64_t word;

enum tag {
    TAG_NOTHING, /* an empty slot of the memo */
    TAG_UNKNOWN,
    TAG_NONE,
    TAG_BOOL,    /* 1 << 4 if true */
    TAG_INT,     /* a signed number that fits 60 bits */
    TAG_NUMBER,  /* any other number: place */
    TAG_STRING,  /* length and place */
    TAG_STRING8, /* Python 2's str: text or bytes, as the loader chooses */
    TAG_BYTES,
    TAG_ENCODED, /* the bytes of codecs.encode(text, "latin1"): length and place of the text */
    TAG_GLOBAL,  /* index of the name */
    TAG_OBJECT,  /* made by the stream: index of the class's name, identity */
    TAG_TUPLE,   /* flags, count, where its items are */
    TAG_LIST,    /* identity */
    TAG_DICT,
    TAG_SET
};

static inline enum tag word_tag(word value) { return (enum tag)(value & 15); }

/* Fewer bytes cannot name anything when they are unpickled: "ca\nb\n" and an opcode that makes it a pickle. */
#define PICKLED_LEAST 6u
/* Text and bytes: 12 bits of length, the last standing for "that or more"; whether it is spelt in escapes;
 * the place. */
#define TEXT_LENGTH_MAX 4095u
#define TEXT_ESCAPED ((word)1 << 16)
#define PLACE_MAX ((uint64_t)1 << 47)
static inline word word_text(enum tag tag, uint64_t place, uint64_t length)
{
    return (word)tag | (length < TEXT_LENGTH_MAX ? length : TEXT_LENGTH_MAX) << 4 | place << 17;
}
static inline unsigned text_length(word value) { return (unsigned)(value >> 4) & TEXT_LENGTH_MAX; }
static inline uint64_t word_place(word value) { return value >> 17; }
/* Is the payload spelt as it is, so that it can be looked into where it lies? */
static inline bool text_is_raw(word value) { return word_tag(value) != TAG_ENCODED && !(value & TEXT_ESCAPED); }
static inline word word_number(uint64_t place) { return TAG_NUMBER | place << 17; }

static inline word word_int(int64_t number, uint64_t place)
{
    if (number < -((int64_t)1 << 58) || number >= (int64_t)1 << 58)
        return word_number(place);
    return TAG_INT | (uint64_t)number << 4;
}
static inline int64_t word_int_value(word value) { return (int64_t)value >> 4; }

#define NAMES_MAX (((uint32_t)1 << 20) - 1) /* this index stands for "of no known class" */
static inline word word_global(uint32_t index) { return TAG_GLOBAL | (word)index << 4; }
static inline uint32_t word_index(word value) { return (uint32_t)(value >> 4) & NAMES_MAX; }

/* Lists, dicts, sets and objects have an identity, so that what is put in later is known of every copy. */
#define IDENTITY_MAX (((uint64_t)1 << 40) - 1)
static inline word word_made(enum tag tag, uint32_t name, uint64_t id)
{
    return (word)tag | (word)name << 4 | id << 24;
}
static inline uint64_t word_id(word value) { return value >> 24; }

#define TUPLE_NAMED ((word)1 << 4) /* names lie in it, at any depth: it is in the second ring */
#define TUPLE_BYTES ((word)1 << 5) /* bytes lie in it, or in a tuple in it */
#define TUPLE_MORE ((word)1 << 6)  /* it is longer than what is kept */
static inline unsigned tuple_count(word value) { return (unsigned)(value >> 7) & 0x7ff; }
static inline uint64_t tuple_place(word value) { return value >> 18; }

/* A name that the stream refers to. */
struct name {
    const char *text;       /* canonical: "module.name", "module:qual.name" */
    const char *alias;      /* after fix_imports, when that differs, else NULL */
    uint32_t module_length; /* of `text`, and of `alias` */
    uint32_t alias_module_length;
    uint32_t hash;
    bool mapped;            /* was referred to under a protocol below 3 */
    bool reported;          /* its IMPORT */
    bool latin1_told;       /* codecs.encode() to Latin-1, which is how protocols below 3 write all bytes: told once */
    bool attribute;         /* taken of a class or object by getattr() */
    bool late;              /* put into a container when that already lay in another: counts as handed to every call */
    uint8_t settled;        /* effect kinds that the sink has settled for it, as bits */
    uint8_t role;           /* enum role */
    uint32_t stream;        /* the last stream that referred to it, and where */
    uint64_t offset;
};

/* Callables whose meaning the machine must know to follow the values. */
enum role {
    ROLE_NONE,
    ROLE_RECONSTRUCTOR, /* copyreg._reconstructor(cls, base, state) */
    ROLE_NEWOBJ,        /* copyreg.__newobj__(cls, *args) */
    ROLE_NEWOBJ_EX,     /* copyreg.__newobj_ex__(cls, args, kwargs) */
    ROLE_GETATTR,
    ROLE_ENCODE,        /* _codecs.encode: how bytes are written below protocol 3 */
    ROLE_BYTES,         /* bytes and bytearray, called with bytes */
    ROLE_OBJECT,        /* builtins.object */
    ROLE_LOOKUP,        /* type, logging.getLogger: gives back what was there before; the stream did not make it */
    ROLE_PARTIAL,       /* functools.partial */
    ROLE_DTYPE,         /* numpy.dtype */
    ROLE_ARRAY,         /* joblib.numpy_pickle.NumpyArrayWrapper */
    ROLE_COMPANION      /* what joblib before 0.10 put for an array that is in a file beside the pickle */
};

/* Items of tuples; the oldest are overwritten when it is full. */
struct ring {
    word *items;
    size_t capacity;
    uint64_t next;
};

/* What the persistent ids of a stream say of tensors' memory. */
struct storages {
    struct name_set keys;
    uint64_t bytes; /* behind the pickles, with the count of elements in front of each */
    bool known;     /* that is all there is */
};

/* The beginning of a list or dict, as long as nothing displaced it. */
struct sample {
    uint64_t id;
    uint64_t place;
    uint32_t count;
    bool whole;
};
#define SAMPLES 1024u

/* A name, or a container with names, that lies in a container. */
struct link {
    word key, item; /* key: TAG_NOTHING where there is none */
    uint32_t next;  /* 1-based */
};

/* One bit for each identity, up to LIMIT_PICKLE_IDS; past it the bit counts as set. */
struct bits {
    uint64_t *words;
    size_t capacity; /* in words */
};

/* A numpy dtype that the stream made: what joblib needs to know the size of an array. */
struct dtype {
    uint64_t size;
    bool objects; /* its items are pickled */
    bool known;
};
#define DTYPES 256u

/* Bytes from far back in the file, where texts lie that many opcodes refer to by the memo. */
struct far {
    uint64_t start;
    uint32_t length; /* 0: nothing yet */
    unsigned char bytes[128];
};
#define FARS 64u

#define MEMO_CHUNK 8192u
#define MEMO_CHUNKS (LIMIT_PICKLE_ENTRIES / MEMO_CHUNK)

struct machine {
    struct scan *scan;
    struct reader reader;
    uint64_t offset;      /* of the opcode being executed */
    uint64_t start;       /* of this stream */
    uint64_t frame_end;   /* UINT64_MAX outside frames */
    unsigned protocol;
    bool certain;         /* PROTO was seen: this is a pickle */
    bool doubtful; /* found among other bytes, where chance writes PROTO too: counts once it names and acts, or stops */
    bool confirmed;       /* it named something (with PROTO) or did something: effects are reported */
    bool found;           /* some stream of the file was */
    bool named;
    bool frames_differ;   /* Python's unpickler reads the frames otherwise than C's */
    bool frames_cut;      /* a field crosses the end of a frame */
    bool cutting;         /* execute as C's unpickler does when it reads from a file: the part of such a field that lies
                             within the frame is dropped */
    uint32_t stream;      /* number of this stream in the file */
    uint64_t steps;       /* opcodes executed, all streams together */
    unsigned nesting;     /* of pickles that joblib puts inline */

    word *stack;
    size_t depth, stack_capacity;
    size_t fence;         /* depth at the last mark */
    size_t *marks;
    size_t mark_count, mark_capacity;

    word **memo;          /* MEMO_CHUNKS chunks, each allocated when it is needed */
    uint64_t memo_high;   /* one past the highest dense index in use */
    uint64_t memo_count;  /* distinct indexes in use */
    struct map sparse;    /* index -> word, for indexes far beyond the count */

    struct storages *storages; /* of PyTorch's old format, whose bytes lie behind the pickles; NULL in others */

    word latin1; /* the text that last named that codec, TAG_NOTHING: none did; the memo gives the same again */
    struct far *far;      /* FARS of them, allocated when they are needed */

    struct ring plain, named_ring;
    struct sample *samples;
    uint64_t next_id;
    struct bits inside;   /* identities that lie in a container */
    struct bits hooked;   /* objects with attributes that an unpickler would call, or of which that cannot be told */
    struct map linked;    /* identity -> first link */
    struct link *links;
    size_t link_count, link_capacity;
    bool any_late, names_lost; /* some name is late; names could not be kept track of, so any may be anywhere */

    struct name *names;
    size_t name_count, name_capacity;
    struct map name_index; /* hash -> index, probed further on collision */
    char *scratch;         /* two texts of NAME_TEXT bytes */
    struct map settled;    /* name << 32 | via */
    struct map nested;     /* places of bytes that were looked into */
    struct map dtypes;     /* identity of a dtype -> index */
    struct dtype *dtype;
    size_t dtype_count;
};
/* Room for "module:name", every byte of both escaped. */
#define NAME_TEXT (8 * LIMIT_NAME + 16)

enum stream_end {
    STREAM_GOES_ON,
    STREAM_STOPPED,   /* reached STOP */
    STREAM_TRUNCATED, /* the bytes ended before */
    STREAM_INVALID,   /* both unpicklers raise here */
    STREAM_LIMIT,     /* a cap of ours; said as opaque */
    STREAM_FAILED     /* the scan has ended */
};

/* pickle_machine.c */
bool machine_open(struct machine *machine, struct scan *scan, const struct source *source);
void machine_close(struct machine *machine);
/* Executes the stream at the reader's position, from an empty stack and memo. */
enum stream_end machine_run(struct machine *machine);

/* pickle.c: says what is wrong with how the stream ended, if that matters. */
void machine_end(struct machine *machine, enum stream_end end);

/* pickle_value.c. Functions that may run out of memory end the scan, and return what is safest. */
word value_made(struct machine *machine, enum tag tag, uint32_t name);
word value_tuple(struct machine *machine, const word *items, size_t count);
/* Puts items into `target`: pairs of key and value, or single items. */
void value_insert(struct machine *machine, word target, const word *items, size_t count, bool pairs);
bool container_bears_names(const struct machine *machine, word value);
/* Does it neither bear names nor have an identity? Without a branch: it is asked of all that is put anywhere. The low
 * five bits tell: a tag below TAG_GLOBAL, or that of a tuple without TUPLE_NAMED. */
static inline bool word_is_plain(word value)
{
    const uint32_t tags = (1u << TAG_GLOBAL) - 1;

    return (tags << 16 | tags | 1u << TAG_TUPLE) >> (value & 31) & 1;
}
static inline bool value_bears_names(const struct machine *machine, word value)
{
    if (word_is_plain(value))
        return false;
    return word_tag(value) == TAG_GLOBAL || word_tag(value) == TAG_TUPLE || container_bears_names(machine, value);
}
/* The items of a tuple, or NULL when they are forgotten. */
const word *tuple_items(const struct machine *machine, word tuple);
/* The first items of a list, set or dict (key, value, ...), or NULL when unknown. `whole`: these are all. */
const word *container_items(const struct machine *machine, word container, size_t *count, bool *whole);
/* What of interest was put into a container, latest first: an index into links plus one, 0 for none; go on
 * by `next`. */
uint32_t value_links(const struct machine *machine, word container);
/* Does an unpickler call the attribute of this name while it loads ("__setstate__", "extend", ...)? */
bool key_is_hook(struct machine *machine, word key);
void bits_set(struct machine *machine, struct bits *bits, word value);
bool bits_get(const struct bits *bits, word value);
static inline bool has_identity(word value)
{
    return word_tag(value) == TAG_OBJECT || word_tag(value) >= TAG_LIST;
}

/* Calls `each` for every name in `value`, at any depth. False: not all could be told, or `each` returned false. */
struct name_walk {
    bool (*each)(void *context, uint32_t name);
    void *context;
    unsigned steps;
};
bool value_names(struct machine *machine, word value, struct name_walk *walk, unsigned depth);
void value_reset(struct machine *machine); /* for the next stream */
void value_close(struct machine *machine);

/* Grows the vector at `pointer` to hold `want` items of `size` bytes, at most `limit`. False: neither. */
bool vector_grow(struct machine *machine, void **pointer, size_t *capacity, size_t want, size_t size, size_t limit);
void vector_give(struct machine *machine, void *pointer, size_t bytes);

/* pickle_text.c. Results are taken from the arena; the caller marks and releases. */
struct text {
    const char *bytes; /* decoded as the unpickler does; NUL-terminated, but may hold NUL */
    size_t length;
    bool cut;          /* there was more than was asked for */
};
bool text_load(struct machine *machine, word value, size_t most, struct text *text);
bool text_equals(struct machine *machine, word value, const char *text);
/* Where the payload of a string or bytes lies in the source. */
bool text_payload(struct machine *machine, word value, uint64_t *start, uint64_t *length);
unsigned char text_opcode(struct machine *machine, word value);

/* pickle_argument.c: a value as an argument of an effect; its text is taken from the arena. */
void argument_make(struct machine *machine, word value, struct argument *argument);

/* pickle_name.c */
/* The index of a name, or NAMES_MAX when there is no room for more. Marks it as referred to at machine->offset. */
uint32_t name_find(struct machine *machine, const char *module, size_t module_length, const char *name,
                   size_t name_length);
/* The name of an attribute of a named thing. */
uint32_t name_attribute(struct machine *machine, uint32_t owner, const char *attribute, size_t length);

/* pickle_report.c */
/* From here on effects are reported: the names so far, then each at once. False: the scan has ended. */
bool machine_confirm(struct machine *machine);
/* A name appears: reported once, as soon as this is known to be a pickle. */
void report_import(struct machine *machine, uint32_t name);
struct invocation {
    enum effect_kind kind; /* EFFECT_CALL or EFFECT_CREATE */
    word callee;
    const word *arguments;
    size_t count;
    bool known;    /* the arguments are these */
    word lost;     /* not known: what they would have been taken from, for the names in it */
    word keywords; /* a dict, or TAG_NOTHING */
    const char *detail;
};
/* Reports it, and the names and pickles that are handed with it. */
void report_invocation(struct machine *machine, const struct invocation *invocation);
/* BUILD of an object: its class, with the state as the only argument. The names in a state are not handed
 * to anything. */
void report_state(struct machine *machine, word object, word state);
/* An invocation whose arguments are the items of `arguments`, a tuple as a rule. */
struct invocation invocation_of(const struct machine *machine, enum effect_kind kind, word callee, word arguments);
/* Looks for pickles and archives in bytes, and in tuples and lists of them. */
void report_bytes(struct machine *machine, word value, unsigned depth);

/* pickle_call.c: what the opcodes that act mean. They return the value that comes of it. */
word call_reduce(struct machine *machine, word callee, word arguments);
word call_items(struct machine *machine, word callee, const word *arguments, size_t count); /* OBJ, INST */
word call_newobj(struct machine *machine, word callee, word arguments, word keywords);
void call_build(struct machine *machine, word target, word state);
/* APPEND, SETITEM and the like; `detail` says what is done. */
void call_change(struct machine *machine, word target, const word *items, size_t count, bool pairs, const char *detail);
word call_persistent(struct machine *machine, word id);

/* pickle_joblib.c */
void joblib_dtype_made(struct machine *machine, word object, const word *arguments, size_t count);
void joblib_dtype_state(struct machine *machine, word object, word state);
/* BUILD of an array that is in a file beside the pickle. */
void joblib_companion(struct machine *machine, word state);
/* After BUILD of joblib's wrapper with `state`: reads over the array that follows. */
enum stream_end joblib_array(struct machine *machine, word state);

#endif
