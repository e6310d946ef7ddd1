/* Reads record logs (GUARD_LOG) and the lines of `guard scan --format json`: what report, lock and learn are
 * made of. */
#ifndef GUARD_LOG_READ_H
#define GUARD_LOG_READ_H

#include "../model.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest line that is read, in bytes: the longest that `guard scan` writes has 2 MiB, a record at most 32 KiB. A
 * longer one is damaged. This, and what cJSON makes of one line, is all the memory a log takes, however large it is. */
#define LOG_LINE_MAX (4u << 20)

struct log_line {
    const char *file;    /* as it was named */
    uint64_t number;     /* from 1 */
    bool scan;           /* a line of `guard scan`, with "verdict"; else a record, with "event" */
    const cJSON *object; /* only for the duration of the call */
};

struct log_totals {
    uint64_t records, scans; /* lines handed on */
    uint64_t damaged;        /* lines that are neither: cut short, no JSON, of another version */
};

/* Calls `line` for each good line of each file, in order; "-" is standard input. Damaged lines are counted, and said
 * once a file on stderr, with the number of the first. False when a file could not be read, said on stderr as "guard
 * VERB: ..."; the other files are read all the same. */
bool log_read(const char *verb, char *const files[], size_t count,
              void (*line)(void *context, const struct log_line *line), void *context, struct log_totals *totals);

/* The text of a member; NULL when it is not there or no string. Bytes that were no UTF-8 are again what they were in
 * the process that wrote the record. */
const char *log_text(const cJSON *object, const char *key);

/* The number of a member, or `otherwise`. */
int64_t log_number(const cJSON *object, const char *key, int64_t otherwise);

/* The line's "sha256"; NULL: it has none, or what is no such hash. */
const char *log_sha256(const cJSON *object);

/* Which model the file of a line belongs to, and where in it it lies: by the record's "model", else by the path. False:
 * the line has no absolute path. */
bool log_model(const struct log_line *line, struct model_identity *identity);

#endif
