/* A lock's text becomes sorted tables. */
#include "lock_edges.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct lock {
    cJSON *root; /* strings point into it */
    struct lock_model *models;
    struct lock_file *files;
    const char **contents; /* all SHA-256, sorted */
    const char **scopes;
    size_t model_count, file_count, scope_count;
    struct lock_edges edges;
};

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool member_is(const cJSON *object, const char *key, const char *text)
{
    const char *value = cJSON_GetStringValue(member(object, key));
    return value != NULL && strcmp(value, text) == 0;
}

const cJSON *lock_property_next(const cJSON *object, const cJSON *from, const char *name)
{
    const cJSON *list = member(object, "properties");
    const cJSON *item = from != NULL ? from->next : cJSON_IsArray(list) ? list->child : NULL;
    while (item != NULL && !(member_is(item, "name", name) && cJSON_IsString(member(item, "value"))))
        item = item->next;
    return item;
}

const char *lock_property(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(member(lock_property_next(object, NULL, name), "value"));
}

static bool is_model(const cJSON *component)
{
    return member_is(component, "type", "machine-learning-model") && lock_property(component, LOCK_MODEL) != NULL;
}

static const cJSON *first_of(const cJSON *object, const char *key)
{
    const cJSON *list = member(object, key);
    return cJSON_IsArray(list) ? list->child : NULL;
}

static const char *file_sha256(const cJSON *file)
{
    const cJSON *hash = first_of(file, "hashes");
    while (hash != NULL && !member_is(hash, "alg", "SHA-256"))
        hash = hash->next;
    const char *hex = cJSON_GetStringValue(member(hash, "content"));
    return hex != NULL && strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64 ? hex : NULL;
}

static bool check_lock(const struct compiler *compiler)
{
    const cJSON *root = compiler->root, *metadata = member(root, "metadata");
    if (!member_is(root, "bomFormat", "CycloneDX"))
        return fault_at_value(compiler, root, "a lock is a CycloneDX BOM, as `guard lock` writes it", NULL, NULL);
    if (!member_is(root, "specVersion", "1.6"))
        return fault_at_value(compiler, member(root, "specVersion") != NULL ? member(root, "specVersion") : root,
                              "this guard reads CycloneDX 1.6", NULL, NULL);
    const char *version = lock_property(metadata, LOCK_VERSION);
    if (version == NULL || strcmp(version, "1") != 0)
        return fault_at_value(compiler, metadata != NULL ? metadata : root, "the BOM has no property", LOCK_VERSION,
                              " of value 1, so it is none that `guard lock` wrote for this guard");
    return true;
}

/* A fault, or room for what is there. */
static bool count_models(struct lock *lock, const struct compiler *compiler)
{
    for (const cJSON *scope = lock_property_next(member(compiler->root, "metadata"), NULL, LOCK_SCOPE); scope != NULL;
         scope = lock_property_next(NULL, scope, LOCK_SCOPE))
        lock->scope_count++;
    for (const cJSON *model = first_of(compiler->root, "components"); model != NULL; model = model->next) {
        if (!is_model(model))
            continue;
        lock->model_count++;
        for (const cJSON *file = first_of(model, "components"); file != NULL; file = file->next) {
            if (!member_is(file, "type", "file"))
                continue;
            if (!cJSON_IsString(member(file, "name")))
                return fault_at_value(compiler, file, "a file of a model has no \"name\"", NULL, NULL);
            if (file_sha256(file) == NULL)
                return fault_at_value(compiler, file, "the file", member(file, "name")->valuestring,
                                      " has no SHA-256 of 64 lower-case hexadecimal digits");
            lock->file_count++;
        }
    }
    return true;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct lock_file *)a)->inside, ((const struct lock_file *)b)->inside);
}

static int compare_revisions(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

static int compare_models(const void *a, const void *b)
{
    const struct lock_model *left = a, *right = b;
    int order = strcmp(left->id, right->id);
    return order != 0 ? order : compare_revisions(left->revision, right->revision);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void take_models(struct lock *lock)
{
    struct lock_model *model = lock->models;
    struct lock_file *file = lock->files;
    const char **glob = lock->scopes;
    for (const cJSON *scope = lock_property_next(member(lock->root, "metadata"), NULL, LOCK_SCOPE); scope != NULL;
         scope = lock_property_next(NULL, scope, LOCK_SCOPE))
        *glob++ = member(scope, "value")->valuestring;
    for (const cJSON *node = first_of(lock->root, "components"); node != NULL; node = node->next) {
        if (!is_model(node))
            continue;
        struct lock_file *first = file;
        for (const cJSON *one = first_of(node, "components"); one != NULL; one = one->next) {
            if (member_is(one, "type", "file"))
                *file++ = (struct lock_file){member(one, "name")->valuestring, file_sha256(one)};
        }
        size_t count = (size_t)(file - first);
        qsort(first, count, sizeof *first, compare_files);
        *model++ = (struct lock_model){lock_property(node, LOCK_MODEL), lock_property(node, LOCK_COMMIT), first, count};
    }
    qsort(lock->models, lock->model_count, sizeof *lock->models, compare_models);
    for (size_t i = 0; i < lock->file_count; i++)
        lock->contents[i] = lock->files[i].sha256;
    qsort(lock->contents, lock->file_count, sizeof *lock->contents, compare_texts);
}

/* Of two different answers to one question neither would be the lock's. */
static bool check_unique(const struct lock *lock, const struct compiler *compiler)
{
    for (size_t i = 0; i < lock->model_count; i++) {
        const struct lock_model *model = &lock->models[i];
        if (i > 0 && compare_models(model - 1, model) == 0)
            return fault_at_value(compiler, compiler->root, "there are two models", model->id, " of the same commit");
        for (size_t j = 1; j < model->file_count; j++) {
            if (compare_files(&model->files[j - 1], &model->files[j]) == 0)
                return fault_at_value(compiler, compiler->root, "a model has two files", model->files[j].inside, NULL);
        }
    }
    return true;
}

static bool load_into(struct lock *lock, struct compiler *compiler)
{
    lock->root = document_parse(compiler, "a lock is a JSON object");
    if (lock->root == NULL || !check_lock(compiler) || !count_models(lock, compiler))
        return false;
    lock->models = calloc(lock->model_count + 1, sizeof *lock->models);
    lock->files = calloc(lock->file_count + 1, sizeof *lock->files);
    lock->contents = calloc(lock->file_count + 1, sizeof *lock->contents);
    lock->scopes = calloc(lock->scope_count + 1, sizeof *lock->scopes);
    if (lock->models == NULL || lock->files == NULL || lock->contents == NULL || lock->scopes == NULL ||
        !lock_edges_take(lock->root, &lock->edges))
        return fault_at_value(compiler, compiler->root, "there is no memory for it", NULL, NULL);
    take_models(lock);
    return check_unique(lock, compiler);
}

struct lock *lock_load(const struct policy_text *text, struct policy_fault *fault)
{
    struct lock *lock = calloc(1, sizeof *lock);
    struct compiler compiler = {.text = text, .tier = TIER_USER, .fault = fault};
    *fault = (struct policy_fault){.line = 0};
    if (lock == NULL) {
        struct text message = text_into(fault->message, sizeof fault->message);
        text_add(&message, "no memory for the lock");
    } else if (!load_into(lock, &compiler)) {
        lock_free(lock);
        lock = NULL;
    }
    return lock;
}

void lock_free(struct lock *lock)
{
    if (lock == NULL)
        return;
    cJSON_Delete(lock->root);
    free(lock->models);
    free(lock->files);
    free(lock->contents);
    free(lock->scopes);
    free(lock->edges.list);
    free(lock);
}

size_t lock_models(const struct lock *lock)
{
    return lock->model_count;
}

const struct lock_model *lock_model(const struct lock *lock, size_t number)
{
    return &lock->models[number];
}

size_t lock_scopes(const struct lock *lock)
{
    return lock->scope_count;
}

const char *lock_scope(const struct lock *lock, size_t number)
{
    return lock->scopes[number];
}

bool lock_in_scope(const char *const globs[], size_t count, const char *model)
{
    for (size_t i = 0; i < count; i++) {
        if (policy_glob(globs[i], model, '/'))
            return true;
    }
    return count == 0 && strncmp(model, "hf:datasets/", 12) != 0;
}

bool lock_same_folder(const char *known, const char *folder)
{
    static const char scheme[] = "file:";
    const size_t length = sizeof scheme - 1;
    if (strncmp(known, scheme, length) != 0 || strncmp(folder, scheme, length) != 0)
        return false;
    known += length;
    folder += length;
    size_t known_length = strlen(known), folder_length = strlen(folder);
    if (known_length == 0 || known_length > folder_length || strcmp(folder + folder_length - known_length, known) != 0)
        return false;
    return known_length == folder_length || known[0] == '/' || folder[folder_length - known_length - 1] == '/';
}

static const struct lock_file *find_file(const struct lock_model *model, const char *inside)
{
    const struct lock_file wanted = {.inside = inside};
    return bsearch(&wanted, model->files, model->file_count, sizeof wanted, compare_files);
}

/* One model of the lock that is the one in question: is it a better answer than what was found so far? */
static void consider(const struct lock_model *model, const char *revision, const char *inside, struct lock_found *found)
{
    enum lock_state state = LOCK_FILE;
    const struct lock_file *file = NULL;
    if (model->revision != NULL && revision == NULL)
        state = LOCK_NO_COMMIT;
    else if (model->revision != NULL && strcmp(model->revision, revision) != 0)
        state = LOCK_MOVED;
    else if ((file = find_file(model, inside)) == NULL)
        state = LOCK_NO_FILE;
    bool nearer = found->model != NULL && state == found->state && strlen(model->id) > strlen(found->model);
    if (state > found->state || nearer)
        *found = (struct lock_found){state, model->id, model->revision, file != NULL ? file->sha256 : NULL};
}

/* The first model whose id is not less. */
static size_t first_model(const struct lock *lock, const char *id)
{
    size_t low = 0, high = lock->model_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(lock->models[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct lock_found lock_find(const struct lock *lock, const char *model, const char *revision, const char *inside)
{
    struct lock_found found = {.state = LOCK_NO_MODEL};
    if (!lock_in_scope(lock->scopes, lock->scope_count, model))
        return (struct lock_found){.state = LOCK_OUTSIDE};
    if (revision != NULL && revision[0] == '\0')
        revision = NULL;
    for (size_t i = first_model(lock, model); i < lock->model_count && strcmp(lock->models[i].id, model) == 0; i++)
        consider(&lock->models[i], revision, inside, &found);
    for (size_t i = first_model(lock, "file:"); i < lock->model_count && strncmp(lock->models[i].id, "file:", 5) == 0;
         i++) {
        if (lock_same_folder(lock->models[i].id, model))
            consider(&lock->models[i], revision, inside, &found);
    }
    return found;
}

bool lock_has_content(const struct lock *lock, const char *sha256)
{
    return bsearch(&sha256, lock->contents, lock->file_count, sizeof *lock->contents, compare_texts) != NULL;
}

/* What the lock calls a model: the longest name where several fit. NULL: it does not have it. */
static const char *name_of(const struct lock *lock, const char *id)
{
    size_t at = first_model(lock, id);
    const char *name = NULL;
    if (at < lock->model_count && strcmp(lock->models[at].id, id) == 0)
        return lock->models[at].id;
    for (at = first_model(lock, "file:"); at < lock->model_count && strncmp(lock->models[at].id, "file:", 5) == 0;
         at++) {
        const char *known = lock->models[at].id;
        if (lock_same_folder(known, id) && (name == NULL || strlen(known) > strlen(name)))
            name = known;
    }
    return name;
}

enum lock_led lock_leads(const struct lock *lock, const char *from, const char *to)
{
    const char *from_name = name_of(lock, from), *to_name = name_of(lock, to);
    if (from_name == NULL || to_name == NULL || !lock->edges.stated)
        return LOCK_LED_UNKNOWN;
    return strcmp(from_name, to_name) == 0 || lock_edges_find(&lock->edges, from_name, to_name) != NULL ? LOCK_LED
                                                                                                        : LOCK_LED_NOT;
}

bool lock_pins(const struct lock *lock, const char *from, const char *to)
{
    const char *from_name = name_of(lock, from), *to_name = name_of(lock, to);
    const struct lock_edge *edge =
        from_name != NULL && to_name != NULL ? lock_edges_find(&lock->edges, from_name, to_name) : NULL;
    return edge != NULL && edge->pinned;
}

bool lock_led_to(const struct lock *lock, const char *to)
{
    const char *name = name_of(lock, to);
    for (size_t i = 0; name != NULL && i < lock->edges.count; i++) {
        if (strcmp(lock->edges.list[i].to, name) == 0)
            return true;
    }
    return false;
}

size_t lock_edge_count(const struct lock *lock)
{
    return lock->edges.count;
}

const struct lock_edge *lock_edge(const struct lock *lock, size_t number)
{
    return &lock->edges.list[number];
}
