#include "name_table.h"

#include "../text_hash.h"
#include "command.h"

#include <stdlib.h>
#include <string.h>

/* The entry of `name`, or the free one where it belongs. The table is never full. */
static struct name_entry *find(const struct name_table *table, const char *name)
{
    size_t at = (size_t)(text_hash(TEXT_HASH_START, name) * 0x9E3779B97F4A7C15u >> 32) & (table->room - 1);

    while (table->entries[at].name && strcmp(table->entries[at].name, name) != 0)
        at = (at + 1) & (table->room - 1);
    return &table->entries[at];
}

static void grow(struct name_table *table)
{
    struct name_table old = *table;

    table->room = old.room > 0 ? 2 * old.room : 256;
    table->entries = command_memory(table->room * sizeof(*table->entries));
    for (size_t i = 0; i < old.room; i++)
        if (old.entries[i].name)
            *find(table, old.entries[i].name) = old.entries[i];
    free(old.entries);
}

size_t *name_table_at(struct name_table *table, const char *name)
{
    if (2 * table->used >= table->room)
        grow(table);
    struct name_entry *entry = find(table, name);
    if (!entry->name) {
        entry->name = command_copy(name);
        table->used++;
    }
    return &entry->value;
}

void name_table_free(struct name_table *table)
{
    for (size_t i = 0; i < table->room; i++)
        free(table->entries[i].name);
    free(table->entries);
    *table = (struct name_table){0};
}
