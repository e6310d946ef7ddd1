#include "report_table.h"

#include "command.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void *table_find(const struct table *table, const char *key)
{
    void *const *found = tfind(&key, &table->root, compare);

    return found ? *found : NULL;
}

void *table_row(struct table *table, const char *key, size_t size)
{
    void *row = table_find(table, key);

    if (row)
        return row;
    if (table->count >= table->most) {
        table->omitted++;
        return NULL;
    }
    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        void **rows = realloc(table->rows, table->room * sizeof(*rows));
        if (!rows)
            exit(command_error(EXIT_USAGE, NULL, "out of memory"));
        table->rows = rows;
    }
    row = command_memory(size);
    *(char **)row = command_copy(key);
    if (!tsearch(row, &table->root, compare))
        exit(command_error(EXIT_USAGE, NULL, "out of memory"));
    table->rows[table->count++] = row;
    return row;
}

void table_free(struct table *table)
{
    while (table->root)
        tdelete(*(void *const *)table->root, &table->root, compare);
    for (size_t i = 0; i < table->count; i++) {
        free(*(char **)table->rows[i]);
        free(table->rows[i]);
    }
    free(table->rows);
    *table = (struct table){0};
}
