/* For tests of formats: bytes made by hand go in, what the analyzer says of them comes out as lines of text. Speaks
 * TAP. */
#ifndef GUARD_TESTS_TOLD_H
#define GUARD_TESTS_TOLD_H

#include "../../analyzer/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes under construction. */
struct bytes {
    unsigned char data[1 << 17];
    size_t length;
};
void bytes_put(struct bytes *bytes, const void *data, size_t length);
void bytes_text(struct bytes *bytes, const char *text); /* without its NUL */
void bytes_le(struct bytes *bytes, uint64_t value, unsigned size);
void bytes_be(struct bytes *bytes, uint64_t value, unsigned size);
void bytes_fill(struct bytes *bytes, size_t upto);      /* zero bytes */

/* One line an effect, in order: `kind name(arguments) field @offset` with what there is of it; first a line `is format
 * ...` when any was recognised, last `opaque` and the like as the scan's status when it is not SCAN_DONE. Valid until
 * the next call. The bytes are copied to the heap first, so that a sanitizer sees reads behind their end. */
const char *told(const unsigned char *data, size_t length);
const char *told_bytes(const struct bytes *bytes);

/* The same, of `format` alone. */
const char *told_by(const struct format *format, const struct bytes *bytes);

/* The same of a file at `path` that lies beside weights, while nothing runs. */
const char *told_beside(const struct bytes *bytes, const char *path);

/* Does `format` bid so high that it would be run? */
bool bids(const struct format *format, const struct bytes *bytes);

/* Every prefix of `bytes`, and copies with bytes changed, through the whole analyzer: for the sanitizers to look at. */
void damage_all(const struct bytes *bytes);

/* TAP. */
void check(bool passed, const char *name);
/* Is `line` one of the lines of `text`? When not, all are printed. */
void check_line(const char *text, const char *line, const char *name);
void check_equal(const char *text, const char *expected, const char *name);
int checks_end(void);

#endif
