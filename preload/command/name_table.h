/* Texts to numbers, for what is gathered out of logs: one look-up a line, however many there are. */
#ifndef GUARD_NAME_TABLE_H
#define GUARD_NAME_TABLE_H

#include <stddef.h>

struct name_entry {
    char *name;
    size_t value;
};
struct name_table {
    struct name_entry *entries; /* open addressing; name NULL: free */
    size_t room, used;          /* room is a power of two, or 0 */
};

/* Where the number of `name` stands: 0 for one that was not there before, which is copied. Until the next call. */
size_t *name_table_at(struct name_table *table, const char *name);
void name_table_free(struct name_table *table);

#endif
