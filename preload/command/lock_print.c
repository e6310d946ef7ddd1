/* A lock's text. */
#include "lock_verb.h"

#include "command.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What the application is called in the BOM. */
#define APPLICATION "application"

/* A file of a model under the name by which the lock knows it. */
struct row {
    const struct inventory_model *model;
    const char *key, *revision; /* revision "": none */
    const struct inventory_file *file;
};

static int compare_models(const struct row *left, const struct row *right)
{
    int order = strcmp(left->key, right->key);

    return order != 0 ? order : strcmp(left->revision, right->revision);
}

static int by_place(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    int order = compare_models(left, right);

    return order != 0 ? order : strcmp(left->file->inside, right->file->inside);
}

static cJSON *node(cJSON *made)
{
    if (made)
        return made;
    fputs("guard: out of memory\n", stderr);
    exit(EXIT_USAGE);
}

static void add_text(cJSON *object, const char *key, const char *text)
{
    node(cJSON_AddStringToObject(object, key, text));
}

static cJSON *add_member(cJSON *list)
{
    cJSON *object = node(cJSON_CreateObject());

    cJSON_AddItemToArray(list, object);
    return object;
}

static cJSON *list_of(cJSON *object, const char *key)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);

    return list ? list : node(cJSON_AddArrayToObject(object, key));
}

static void add_property(cJSON *object, const char *name, const char *value)
{
    cJSON *property = add_member(list_of(object, "properties"));

    add_text(property, "name", name);
    add_text(property, "value", value);
}

static void add_hash(cJSON *object, const char *sha256)
{
    cJSON *hash = add_member(list_of(object, "hashes"));

    add_text(hash, "alg", "SHA-256");
    add_text(hash, "content", sha256);
}

static const char *key_of(const struct inventory_model *model)
{
    return model->key ? model->key : model->id;
}

/* "hf:org/name@COMMIT", unique in the file; malloc'd. */
static char *reference(const struct inventory_model *model)
{
    const char *key = key_of(model), *revision = model->revision ? model->revision : "";
    char *text = command_memory(strlen(key) + strlen(revision) + 2);

    return strcat(strcat(strcpy(text, key), revision[0] ? "@" : ""), revision);
}

static bool has_rows(const struct inventory_model *model)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->files[i].sha256[0])
            return true;
    return false;
}

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && !strchr("._-/", *text))
            return false;
    return true;
}

/* Name, group, version and package URL, for tools that know nothing of the guard. */
static void add_names(cJSON *component, const struct row *row)
{
    const char *colon = strchr(row->key, ':'), *whole = colon ? colon + 1 : row->key, *slash = strrchr(whole, '/');
    bool hub = strncmp(row->key, "hf:", 3) == 0;

    if (slash && slash > whole && hub) {
        char *group = command_copy(whole);
        group[slash - whole] = '\0';
        add_text(component, "group", group);
        free(group);
        whole = slash + 1;
    }
    add_text(component, "name", whole);
    if (row->revision[0])
        add_text(component, "version", row->revision);
    if (!hub || !is_plain(row->key + 3) || strncmp(row->key, "hf:datasets/", 12) == 0 ||
        strncmp(row->key, "hf:spaces/", 10) == 0)
        return;
    char *url = command_memory(strlen(row->key) + strlen(row->revision) + 24);
    sprintf(url, "pkg:huggingface/%s%s%s", row->key + 3, row->revision[0] ? "@" : "", row->revision);
    add_text(component, "purl", url);
    free(url);
}

static const char *origin_of(const char *key)
{
    return strncmp(key, "hf:", 3) == 0 ? "huggingface" : strncmp(key, "file:", 5) == 0 ? "local" : "cache";
}

/* The hash of a model is that of the lines that sha256sum prints for its files, in this order. */
static void hash_line(SHA256_CTX *context, const struct inventory_file *file)
{
    SHA256_Update(context, file->sha256, strlen(file->sha256));
    SHA256_Update(context, "  ", 2);
    SHA256_Update(context, file->inside, strlen(file->inside));
    SHA256_Update(context, "\n", 1);
}

/* One model: the rows from `rows` on that have its name and commit. How many. */
static size_t add_model(cJSON *components, const struct row *rows, size_t count)
{
    cJSON *component = add_member(components);
    char *ref = reference(rows->model), digest[DIGEST_HEX];
    SHA256_CTX context;
    size_t taken = 0;

    add_text(component, "type", "machine-learning-model");
    add_text(component, "bom-ref", ref);
    free(ref);
    add_names(component, rows);
    list_of(component, "hashes"); /* in this place, filled in last */
    cJSON *files = node(cJSON_CreateArray());
    SHA256_Init(&context);
    for (; taken < count && compare_models(rows, rows + taken) == 0; taken++) {
        const struct inventory_file *file = rows[taken].file;
        if (taken > 0 && strcmp(rows[taken - 1].file->inside, file->inside) == 0)
            continue;
        cJSON *one = add_member(files);
        add_text(one, "type", "file");
        add_text(one, "name", file->inside);
        add_hash(one, file->sha256);
        hash_line(&context, file);
    }
    digest_end(&context, digest);
    add_hash(component, digest);
    add_property(component, LOCK_MODEL, rows->key);
    if (rows->revision[0])
        add_property(component, LOCK_COMMIT, rows->revision);
    add_property(component, "guard:origin", origin_of(rows->key));
    cJSON_AddItemToObject(component, "components", files);
    return taken;
}

/* An edge between two references. */
struct pair {
    const char *from, *to;
    bool pinned;
};

static int by_ends(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    int order = strcmp(left->from, right->from);

    return order != 0 ? order : strcmp(left->to, right->to);
}

/* One model in the list of dependencies. */
struct known {
    const char *id; /* as edges call it */
    char *ref;
    bool wanted; /* another model leads to it */
};

static int by_id(const void *a, const void *b)
{
    const struct known *left = a, *right = b;
    int order = strcmp(left->id, right->id);

    return order != 0 ? order : strcmp(left->ref, right->ref);
}

/* The first of those that are called `id`; `count` when there is none. */
static size_t first_known(const struct known *known, size_t count, const char *id)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(known[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && strcmp(known[low].id, id) == 0 ? low : count;
}

/* Pairs of what the edges join, as far as the lock holds both ends. malloc'd. */
static struct pair *pairs_of(const struct inventory *inventory, struct known *known, size_t count, size_t *pair_count)
{
    size_t room = 0;
    struct pair *pairs = NULL;

    *pair_count = 0;
    for (size_t i = 0; i < inventory->edge_count; i++) {
        const struct inventory_edge *edge = &inventory->edges[i];
        size_t from = first_known(known, count, edge->from), to = first_known(known, count, edge->to);
        for (size_t f = from; f < count && strcmp(known[f].id, edge->from) == 0; f++) {
            for (size_t t = to; t < count && strcmp(known[t].id, edge->to) == 0; t++) {
                if (strcmp(known[f].ref, known[t].ref) == 0)
                    continue;
                pairs = command_grow(pairs, *pair_count, &room, sizeof(*pairs));
                pairs[(*pair_count)++] = (struct pair){known[f].ref, known[t].ref, edge->pin == PIN_COMMIT};
                known[t].wanted = true;
            }
        }
    }
    if (pairs)
        qsort(pairs, *pair_count, sizeof(*pairs), by_ends);
    return pairs;
}

static int by_ref(const void *a, const void *b)
{
    return strcmp(((const struct known *)a)->ref, ((const struct known *)b)->ref);
}

static cJSON *add_dependency(cJSON *list, const char *ref)
{
    cJSON *dependency = add_member(list);

    add_text(dependency, "ref", ref);
    return list_of(dependency, "dependsOn");
}

static void add_reference(cJSON *names, const char *ref)
{
    cJSON_AddItemToArray(names, node(cJSON_CreateString(ref)));
}

/* Notes in the component `from` that its files name `to` with a commit. Few do. */
static void add_pin(cJSON *root, const struct pair *pair)
{
    cJSON *component;

    cJSON_ArrayForEach(component, list_of(root, "components"))
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(component, "bom-ref")), pair->from) == 0)
            add_property(component, LOCK_PINNED, pair->to);
}

/* The application leads to every model that no other model leads to. */
static void add_dependencies(cJSON *root, const struct inventory *inventory, struct known *known, size_t count)
{
    cJSON *list = list_of(root, "dependencies");
    size_t pair_count, pair = 0;

    qsort(known, count, sizeof(*known), by_id);
    struct pair *pairs = pairs_of(inventory, known, count, &pair_count);
    qsort(known, count, sizeof(*known), by_ref);
    cJSON *names = add_dependency(list, APPLICATION);
    for (size_t i = 0; i < count; i++)
        if (!known[i].wanted && (i == 0 || strcmp(known[i - 1].ref, known[i].ref) != 0))
            add_reference(names, known[i].ref);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(known[i - 1].ref, known[i].ref) == 0)
            continue;
        names = add_dependency(list, known[i].ref);
        for (; pair < pair_count && strcmp(pairs[pair].from, known[i].ref) == 0; pair++)
            if (pair == 0 || by_ends(&pairs[pair - 1], &pairs[pair]) != 0) {
                add_reference(names, pairs[pair].to);
                if (pairs[pair].pinned)
                    add_pin(root, &pairs[pair]);
            }
    }
    free(pairs);
}

static void add_metadata(cJSON *root, const struct inventory *inventory)
{
    cJSON *metadata = node(cJSON_AddObjectToObject(root, "metadata"));
    cJSON *tools = node(cJSON_AddObjectToObject(metadata, "tools")), *tool = add_member(list_of(tools, "components"));

    add_text(tool, "type", "application");
    add_text(tool, "name", "guard");
    add_text(tool, "version", GUARD_VERSION);
    cJSON *application = node(cJSON_AddObjectToObject(metadata, "component"));
    add_text(application, "type", "application");
    add_text(application, "bom-ref", APPLICATION);
    add_text(application, "name", APPLICATION);
    add_property(metadata, LOCK_VERSION, "1");
    for (size_t i = 0; i < inventory->glob_count; i++)
        add_property(metadata, LOCK_SCOPE, inventory->globs[i]);
}

/* All files with a hash, sorted; malloc'd. */
static struct row *rows_of(const struct inventory *inventory, size_t *count)
{
    size_t room = 1;

    for (size_t i = 0; i < inventory->count; i++)
        room += inventory->models[i].count;
    struct row *rows = command_memory(room * sizeof(*rows));
    *count = 0;
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_model *model = &inventory->models[i];
        const char *key = key_of(model), *revision = model->revision ? model->revision : "";
        for (size_t j = 0; j < model->count; j++)
            if (model->files[j].sha256[0])
                rows[(*count)++] = (struct row){model, key, revision, &model->files[j]};
    }
    qsort(rows, *count, sizeof(*rows), by_place);
    return rows;
}

/* A UUID (version 8, RFC 9562) that the content decides: the same lock has the same number. */
static void number(cJSON *root)
{
    char *text = cJSON_PrintUnformatted(root), hex[DIGEST_HEX], serial[64];

    if (!text)
        node(NULL);
    digest_hex(text, strlen(text), hex);
    cJSON_free(text);
    hex[12] = '8';
    hex[16] = 'a';
    snprintf(serial, sizeof(serial), "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(root, "serialNumber"), serial);
}

char *lock_print(const struct inventory *inventory)
{
    /* As long as a serial number, whose room is filled in last. */
    static const char empty[] = "urn:uuid:00000000-0000-0000-0000-000000000000";
    size_t count, models = 0;
    struct row *rows = rows_of(inventory, &count);
    struct known *known = command_memory((inventory->count + 1) * sizeof(*known));
    cJSON *root = node(cJSON_CreateObject());

    add_text(root, "$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json");
    add_text(root, "bomFormat", "CycloneDX");
    add_text(root, "specVersion", "1.6");
    add_text(root, "serialNumber", empty);
    node(cJSON_AddNumberToObject(root, "version", 1));
    add_metadata(root, inventory);
    cJSON *components = list_of(root, "components");
    for (size_t at = 0; at < count;)
        at += add_model(components, rows + at, count - at);
    for (size_t i = 0; i < inventory->count; i++)
        if (has_rows(&inventory->models[i]))
            known[models++] = (struct known){.id = inventory->models[i].id, .ref = reference(&inventory->models[i])};
    add_dependencies(root, inventory, known, models);
    number(root);
    char *text = cJSON_Print(root);
    if (!text)
        node(NULL);
    for (size_t i = 0; i < models; i++)
        free(known[i].ref);
    cJSON_Delete(root);
    free(known);
    free(rows);
    return text;
}
