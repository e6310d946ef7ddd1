/* Rows found by a text key and kept in the order in which they came; bounded, so that no log can take all memory. */
#ifndef GUARD_REPORT_TABLE_H
#define GUARD_REPORT_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table {
    void *root;       /* of tsearch(3) */
    void **rows;      /* each begins with its key, a malloc'd text */
    size_t count, room;
    size_t most;      /* rows kept */
    uint64_t omitted; /* asked for beyond that */
};

/* The row of `key`; NULL: none. */
void *table_find(const struct table *table, const char *key);

/* The row of `key`, or a new one of `size` zeroed bytes with a copy of it; NULL when the table is full. */
void *table_row(struct table *table, const char *key, size_t size);

/* Frees the rows with their keys; what else hangs from a row is the caller's. */
void table_free(struct table *table);

#endif
