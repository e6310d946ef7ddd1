#include "inventory.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>

/* A local model under the name that its folder's last `depth` parts make. */
struct candidate {
    struct inventory_model *model;
    const char *folder, *name; /* name: an end of folder */
    unsigned depth;
};

/* The last `depth` parts of an absolute path; all of it when it has no more. */
static const char *end_of(const char *folder, unsigned depth)
{
    for (const char *at = folder + strlen(folder); at > folder; at--)
        if (at[-1] == '/' && --depth == 0)
            return at[0] != '\0' && at - 1 > folder ? at : folder;
    return folder;
}

static int by_name(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : strcmp(left->folder, right->folder);
}

/* Do two of them have a file of the same name and another content? */
static bool disagree(const struct candidate *group, size_t count)
{
    struct name_table names = {0};

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < group[i].model->count; j++)
            ++*name_table_at(&names, group[i].model->files[j].inside);
    /* As many contents as names, then none has two. */
    size_t inside = names.used;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < group[i].model->count; j++) {
            const struct inventory_file *file = &group[i].model->files[j];
            char *both = command_memory(strlen(file->inside) + DIGEST_HEX + 1);
            ++*name_table_at(&names, strcat(strcat(strcpy(both, file->inside), "\n"), file->sha256));
            free(both);
        }
    }
    bool differ = names.used != 2 * inside;
    name_table_free(&names);
    return differ;
}

/* Gives the members of groups that disagree a longer name. False: there are none. */
static bool lengthen(struct candidate *candidates, size_t count)
{
    bool lengthened = false;

    qsort(candidates, count, sizeof(*candidates), by_name);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && strcmp(candidates[next].name, candidates[first].name) == 0; next++)
            ;
        if (next == first + 1 || !disagree(candidates + first, next - first))
            continue;
        for (size_t i = first; i < next; i++) {
            lengthened |= candidates[i].name != candidates[i].folder;
            candidates[i].depth++;
        }
    }
    for (size_t i = 0; i < count; i++)
        candidates[i].name = end_of(candidates[i].folder, candidates[i].depth);
    return lengthened;
}

void inventory_shorten(struct inventory *inventory)
{
    struct candidate *candidates = command_memory((inventory->count + 1) * sizeof(*candidates));
    size_t count = 0;

    for (size_t i = 0; i < inventory->count; i++) {
        struct inventory_model *model = &inventory->models[i];
        if (model->key || strncmp(model->id, "file:", 5) != 0)
            continue;
        candidates[count] = (struct candidate){.model = model, .folder = model->id + 5, .depth = 1};
        candidates[count].name = end_of(candidates[count].folder, 1);
        count++;
    }
    while (lengthen(candidates, count))
        ;
    for (size_t i = 0; i < count; i++) {
        candidates[i].model->key = command_memory(strlen(candidates[i].name) + 6);
        strcat(strcpy(candidates[i].model->key, "file:"), candidates[i].name);
    }
    free(candidates);
}
