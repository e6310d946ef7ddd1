#include "lock_edges.h"

#include <stdlib.h>
#include <string.h>

/* What "dependencies" call a model. */
struct reference {
    const char *ref, *id;
    const cJSON *component;
};

static int compare_references(const void *a, const void *b)
{
    return strcmp(((const struct reference *)a)->ref, ((const struct reference *)b)->ref);
}

static int compare_edges(const void *a, const void *b)
{
    const struct lock_edge *left = a, *right = b;
    int order = strcmp(left->from, right->from);
    return order != 0 ? order : strcmp(left->to, right->to);
}

static const cJSON *list_of(const cJSON *object, const char *key)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsArray(list) ? list : NULL;
}

/* malloc'd; NULL: no memory. */
static struct reference *take_references(const cJSON *root, size_t *count)
{
    const cJSON *components = list_of(root, "components"), *one;
    struct reference *references = calloc((size_t)cJSON_GetArraySize(components) + 1, sizeof *references);
    *count = 0;
    cJSON_ArrayForEach(one, components) {
        const char *ref = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "bom-ref"));
        const char *id = lock_property(one, LOCK_MODEL);
        if (references != NULL && ref != NULL && id != NULL)
            references[(*count)++] = (struct reference){ref, id, one};
    }
    if (references != NULL)
        qsort(references, *count, sizeof *references, compare_references);
    return references;
}

static const struct reference *find(const struct reference *references, size_t count, const cJSON *ref)
{
    const struct reference wanted = {.ref = cJSON_GetStringValue(ref)};
    return wanted.ref != NULL ? bsearch(&wanted, references, count, sizeof wanted, compare_references) : NULL;
}

static bool is_pinned(const struct reference *from, const struct reference *to)
{
    const cJSON *property = NULL;
    while ((property = lock_property_next(from->component, property, LOCK_PINNED)) != NULL) {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(property, "value")->valuestring, to->ref) == 0)
            return true;
    }
    return false;
}

bool lock_edges_take(const cJSON *root, struct lock_edges *edges)
{
    const cJSON *dependencies = list_of(root, "dependencies"), *one, *on;
    size_t room = 1, reference_count, kept = 0;
    cJSON_ArrayForEach(one, dependencies)
        room += (size_t)cJSON_GetArraySize(list_of(one, "dependsOn"));
    struct reference *references = take_references(root, &reference_count);
    *edges = (struct lock_edges){.list = calloc(room, sizeof *edges->list), .stated = dependencies != NULL};
    bool done = references != NULL && edges->list != NULL;
    for (one = done && dependencies != NULL ? dependencies->child : NULL; one != NULL; one = one->next) {
        const struct reference *from = find(references, reference_count, cJSON_GetObjectItemCaseSensitive(one, "ref"));
        cJSON_ArrayForEach(on, list_of(one, "dependsOn")) {
            const struct reference *to = find(references, reference_count, on);
            if (from != NULL && to != NULL)
                edges->list[edges->count++] = (struct lock_edge){from->id, to->id, is_pinned(from, to)};
        }
    }
    free(references);
    if (!done)
        return false;
    qsort(edges->list, edges->count, sizeof *edges->list, compare_edges);
    for (size_t i = 0; i < edges->count; i++) {
        if (i == 0 || compare_edges(&edges->list[kept - 1], &edges->list[i]) != 0)
            edges->list[kept++] = edges->list[i];
        else
            edges->list[kept - 1].pinned &= edges->list[i].pinned;
    }
    edges->count = kept;
    return true;
}

const struct lock_edge *lock_edges_find(const struct lock_edges *edges, const char *from, const char *to)
{
    const struct lock_edge wanted = {.from = from, .to = to};
    return bsearch(&wanted, edges->list, edges->count, sizeof wanted, compare_edges);
}
