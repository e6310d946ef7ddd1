/* A walk through a protobuf message, as its parsers do it: streaming, bounded, without recursion.
 *
 * Facts: protobuf's "Encoding" page, and google/protobuf/io/coded_stream.h for its limits. What is of interest is
 * described by tables; everything else is skipped, by its length and unread. As in every parser a field that comes with
 * another wire type than the message says is unknown, a message that comes twice is merged (so both are walked), and
 * groups are passed over. */
#ifndef GUARD_PROTOBUF_H
#define GUARD_PROTOBUF_H

#include "reader.h"

enum protobuf_wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_32 = 5 };

struct protobuf_field;

/* A message type: its fields of interest. */
struct protobuf_message {
    const struct protobuf_field *fields;
    size_t count;
};

struct protobuf_field {
    uint32_t number;
    unsigned id;                           /* the user's name for it */
    enum protobuf_wire wire;               /* WIRE_VARINT or WIRE_BYTES */
    const struct protobuf_message *inside; /* of a WIRE_BYTES field that is a message; NULL: a string or bytes */
};

enum protobuf_event {
    PROTOBUF_FAILED,   /* `error` says why; comes again on every further call */
    PROTOBUF_FINISHED, /* the outermost message ended where its bytes do; comes again likewise */
    PROTOBUF_OPEN,     /* a message of interest begins */
    PROTOBUF_CLOSE,    /* and ends; `field` is again the one that opened it */
    PROTOBUF_NUMBER,   /* `value` */
    PROTOBUF_TEXT      /* `text`; `length` and `offset` tell where all of it lies */
};

enum protobuf_error {
    PROTOBUF_ERROR_NONE,
    PROTOBUF_ERROR_DAMAGED, /* parsers would raise */
    PROTOBUF_ERROR_LIMIT,   /* LIMIT_PROTOBUF_FIELDS */
    PROTOBUF_ERROR_IO       /* reader.error holds the errno */
};

struct protobuf_level {
    const struct protobuf_message *message;
    const struct protobuf_field *field; /* that opened it; NULL: the outermost, or a group that is passed over */
    uint64_t end;
    uint64_t start;
    uint32_t group; /* its number, when it is a group; else 0 */
};

struct protobuf {
    struct reader reader;
    unsigned depth; /* levels open besides the outermost */
    uint64_t fields;
    enum protobuf_error error;

    /* What the last event was about. */
    const struct protobuf_field *field;
    uint64_t value;
    uint64_t offset; /* of the field's content; for PROTOBUF_CLOSE of that of the message */
    uint64_t length;
    char text[LIMIT_NAME + 8]; /* NUL-terminated start of the content */
    size_t text_length;
    bool cut;                  /* there is more */

    struct protobuf_level levels[LIMIT_PROTOBUF_DEPTH + 1];
};

/* Starts walking [start, end) of `source` as a `message`. False: no memory. */
bool protobuf_open(struct protobuf *protobuf, struct arena *arena, const struct source *source, uint64_t start,
                   uint64_t end, const struct protobuf_message *message);
enum protobuf_event protobuf_next(struct protobuf *protobuf);

/* One field in plain memory, for bids. `length` may run past `size`. */
struct protobuf_view {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;  /* WIRE_VARINT */
    size_t content;  /* where the content starts */
    uint64_t length; /* of the content */
};
/* Takes apart the field at `at` of `size` bytes. False when there is none, it is damaged or its tag is cut off. */
bool protobuf_look(const unsigned char *bytes, size_t size, size_t at, struct protobuf_view *view);

/* What is known of a message's fields, as bits by number. */
struct protobuf_shape {
    uint32_t messages, texts, numbers;
};

/* Bits of evidence that a message of `length` bytes, of which the first `size` are at `bytes`, is of `shape`; -1 when
 * it is not. Fields of which the shape says nothing (documentation, packed numbers) are no evidence. */
int protobuf_evidence(const struct protobuf_shape *shape, const unsigned char *bytes, size_t size, uint64_t length);

/* Is [bytes, bytes+length) what a name consists of: printable, UTF-8 passing as it is? */
bool protobuf_is_text(const unsigned char *bytes, size_t length);

#endif
