/* Caches of model hubs other than Hugging Face's, and stores of training runs: whose a file in them is. */
#include "model_cache.h"

#include "path_part.h"

/* What an identity is made of: the parts of the path behind the folders that tell a cache. */
#define CACHE_PARTS 6

struct found {
    struct part parts[CACHE_PARTS];
    unsigned count;
    const char *after[CACHE_PARTS + 1]; /* the path behind so many parts */
};

static bool id_put(struct model_identity *identity, const char *text, size_t length)
{
    return part_append(identity->id, sizeof(identity->id), text, length);
}

static bool id_put_text(struct model_identity *identity, const char *text)
{
    return id_put(identity, text, strlen(text));
}

static bool rest(struct model_identity *identity, const char *inside)
{
    return part_rest(identity->inside, sizeof(identity->inside), inside);
}

/* torch/hub.py: load_state_dict_from_url() keeps each file by its name, in no folder; each is a model. */
static bool torch_checkpoint(const struct found *found, struct model_identity *identity)
{
    return found->count == 1 && id_put_text(identity, "torchhub:checkpoints/") &&
           id_put(identity, found->parts[0].text, found->parts[0].length) && rest(identity, found->parts[0].text);
}

/* torch/hub.py, _get_cache_or_reload(): OWNER_REPO_REF. No owner at GitHub has an underscore; a ref's slashes became
 * underscores, so of several the last begins the ref. */
static bool torch_repository(const struct found *found, struct model_identity *identity)
{
    const struct part *name = &found->parts[0];

    if (found->count < 2)
        return false;
    const char *end = name->text + name->length, *first = memchr(name->text, '_', name->length), *last = end;
    while (first && last > first + 1 && *last != '_')
        last--;
    if (!first || last <= first + 1 || last + 1 >= end)
        return false;
    return id_put_text(identity, "torchhub:") && id_put(identity, name->text, (size_t)(first - name->text)) &&
           id_put_text(identity, "/") && id_put(identity, first + 1, (size_t)(last - first - 1)) &&
           part_append(identity->revision, sizeof(identity->revision), last + 1, (size_t)(end - last - 1)) &&
           rest(identity, found->after[1]);
}

/* keras/src/utils/file_utils.py, get_file(): ~/.keras/models/FILE, of keras.applications. */
static bool keras_file(const struct found *found, struct model_identity *identity)
{
    return found->count >= 1 && id_put_text(identity, "keras:") &&
           id_put(identity, found->parts[0].text, found->parts[0].length) && rest(identity, found->parts[0].text);
}

/* kagglehub/cache.py: models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION/FILE; keras-hub's presets come from there. */
static bool kaggle_model(const struct found *found, struct model_identity *identity)
{
    if (found->count < 6 || !id_put_text(identity, "kaggle:"))
        return false;
    for (unsigned i = 0; i < 4; i++)
        if ((i > 0 && !id_put_text(identity, "/")) || !id_put(identity, found->parts[i].text, found->parts[i].length))
            return false;
    return part_append(identity->revision, sizeof(identity->revision), found->parts[4].text, found->parts[4].length) &&
           rest(identity, found->after[5]);
}

/* modelscope/hub/utils/caching.py: hub/[models/]ORG/NAME/FILE, dots in names written "___". */
static bool modelscope_model(const struct found *found, struct model_identity *identity)
{
    unsigned at = found->count > 0 && part_is(&found->parts[0], "models");

    if (found->count < at + 3 || !id_put_text(identity, "ms:"))
        return false;
    for (unsigned i = at; i < at + 2; i++) {
        const struct part *name = &found->parts[i];
        if (i > at && !id_put_text(identity, "/"))
            return false;
        for (size_t from = 0; from < name->length;) {
            bool dot = name->length - from >= 3 && memcmp(name->text + from, "___", 3) == 0;
            if (!id_put(identity, dot ? "." : name->text + from, 1))
                return false;
            from += dot ? 3 : 1;
        }
    }
    return rest(identity, found->after[at + 2]);
}

/* mlflow/store/artifact: RUN/artifacts/NAME/FILE, and from MLflow 3 on models/m-ID/artifacts/FILE. Run and model ids
 * are random and the same on every machine. */
static bool mlflow_model(const struct found *found, struct model_identity *identity)
{
    struct part name = found->parts[0];
    bool logged = found->count >= 3 && name.length > 2 && memcmp(name.text, "m-", 2) == 0;

    if (logged)
        name = (struct part){name.text + 2, name.length - 2};
    if (found->count < (logged ? 3u : 4u) || !part_is_hex(&name, 32) || !part_is(&found->parts[1], "artifacts"))
        return false;
    if (!id_put_text(identity, "mlflow:") || !id_put(identity, found->parts[0].text, found->parts[0].length))
        return false;
    if (logged)
        return rest(identity, found->after[2]);
    return id_put_text(identity, "/") && id_put(identity, found->parts[2].text, found->parts[2].length) &&
           rest(identity, found->after[3]);
}

/* Two folders in a row, NULL for any, and what the parts behind them say. */
static const struct cache {
    const char *folder, *below;
    bool (*identify)(const struct found *found, struct model_identity *identity);
} caches[] = {
    {"hub", "checkpoints", torch_checkpoint}, {"torch", "hub", torch_repository},
    {".keras", "models", keras_file},         {"kagglehub", "models", kaggle_model},
    {"modelscope", "hub", modelscope_model},  {"mlruns", NULL, mlflow_model},
    {"mlartifacts", NULL, mlflow_model},      {NULL, "models", mlflow_model},
};

static void look_ahead(const char *at, struct found *found)
{
    found->count = 0;
    found->after[0] = at;
    while (found->count < CACHE_PARTS && part_next(&at, &found->parts[found->count]))
        found->after[++found->count] = at;
}

bool model_cache_identify(const char *path, struct model_identity *identity)
{
    const char *at = path;
    struct part part, next;
    struct found found = {0};

    while (part_next(&at, &part)) {
        const char *after = at;
        if (!part_next(&after, &next))
            return false;
        for (size_t i = 0; i < sizeof(caches) / sizeof(*caches); i++) {
            if ((caches[i].folder && !part_is(&part, caches[i].folder)) ||
                (caches[i].below && !part_is(&next, caches[i].below)))
                continue;
            look_ahead(after, &found);
            if (caches[i].identify(&found, identity))
                return true;
            identity->id[0] = identity->revision[0] = identity->inside[0] = '\0';
        }
    }
    return false;
}
