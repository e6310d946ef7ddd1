/* Bytes that a stream spells otherwise, as a source: in STRING's escapes, or as text that codecs.encode() turns into
 * bytes. */
#ifndef GUARD_PICKLE_DECODE_H
#define GUARD_PICKLE_DECODE_H

#include "source.h"

#include <stdbool.h>

enum spelling {
    SPELT_ESCAPED, /* a repr, in quotes, with backslashes */
    SPELT_UNICODE, /* UTF-8, of characters that Latin-1 has */
    SPELT_RAW_UNICODE /* Latin-1 and \uXXXX, of such characters */
};

struct decoder {
    const struct source *whole;
    uint64_t start, end;     /* of what is spelt */
    enum spelling spelling;
    uint64_t raw, decoded;   /* how far it has come */
    int error;
    unsigned char quote;     /* of SPELT_ESCAPED: where it ends */
    uint64_t window_start;
    size_t window_length;
    unsigned char window[4096];
};

/* A streamed source of unknown size over `decoder`, which must outlive it. */
struct source source_from_spelling(struct decoder *decoder, const struct source *whole, uint64_t start, uint64_t length,
                                   enum spelling spelling);

/* What follows a backslash in the escape-decode codec: returns the bytes taken, 0 for an unknown escape,
 * which stays. */
size_t escape_decode(const unsigned char *from, const unsigned char *end, unsigned char *value);
/* `digits` hex digits; false where there are fewer. */
bool hex_decode(const unsigned char *from, const unsigned char *end, unsigned digits, uint32_t *value);

#endif
