#define _GNU_SOURCE /* memmem */
#include "model.h"

#include "model_cache.h"
#include "path_part.h"
#include "raw.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static bool has_dot_dot(const char *path)
{
    struct part part;

    while (part_next(&path, &part))
        if (part_is(&part, ".."))
            return true;
    return false;
}

/* huggingface_hub/file_download.py, repo_folder_name(): "models--org--name", "datasets--org--name". Writes
 * "hf:org/name" or "hf:datasets/org/name". */
static bool repository_name(const struct part *part, char *id, size_t size)
{
    static const struct {
        const char *start, *id;
    } kinds[] = {
        {"models--", "hf:"}, {"datasets--", "hf:datasets/"}, {"spaces--", "hf:spaces/"}, {"kernels--", "hf:kernels/"}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t start = strlen(kinds[i].start);
        if (part->length <= start || memcmp(part->text, kinds[i].start, start) != 0)
            continue;
        id[0] = '\0';
        const char *name = part->text + start, *end = part->text + part->length;
        const char *split = memmem(name, (size_t)(end - name), "--", 2);
        if (!part_append(id, size, kinds[i].id, strlen(kinds[i].id)))
            return false;
        if (split && (!part_append(id, size, name, (size_t)(split - name)) || !part_append(id, size, "/", 1)))
            return false;
        if (split)
            name = split + 2;
        return part_append(id, size, name, (size_t)(end - name));
    }
    return false;
}

/* models--ORG--NAME/snapshots/COMMIT/INSIDE, or blobs and refs beside it. The outermost such folder counts: a
 * repository may hold folders that are named like another one's. */
static bool identify_hub(const char *path, struct model_identity *identity)
{
    const char *at = path;
    struct part part, next;

    while (part_next(&at, &part)) {
        const char *after = at;
        if (!part_next(&after, &next) ||
            !(part_is(&next, "snapshots") || part_is(&next, "blobs") || part_is(&next, "refs")) ||
            !repository_name(&part, identity->id, sizeof(identity->id)))
            continue;
        const char *inside = next.text;
        if (part_is(&next, "snapshots") && part_next(&after, &part)) {
            part_append(identity->revision, sizeof(identity->revision), part.text, part.length);
            inside = after;
        }
        part_rest(identity->inside, sizeof(identity->inside), inside);
        return true;
    }
    return false;
}

/* A part of a hub name as transformers writes it for Python (dynamic_module_utils.py), undone. */
static bool append_unsanitized(char *id, size_t size, const struct part *part)
{
    static const struct {
        const char *written;
        char meant;
    } signs[] = {{"_dot_", '.'}, {"_hyphen_", '-'}};
    size_t at = part->length > 1 && part->text[0] == '_' && part->text[1] >= '0' && part->text[1] <= '9';

    while (at < part->length) {
        char c = part->text[at];
        size_t step = 1;
        for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
            size_t length = strlen(signs[i].written);
            if (length <= part->length - at && memcmp(part->text + at, signs[i].written, length) == 0) {
                c = signs[i].meant;
                step = length;
            }
        }
        if (!part_append(id, size, &c, 1))
            return false;
        at += step;
    }
    return true;
}

/* transformers_modules/ORG/NAME/COMMIT/INSIDE: copies of the Python files of hub models. */
static bool identify_modules(const char *path, struct model_identity *identity)
{
    const char *at = path;
    struct part part, org, name, commit;

    while (part_next(&at, &part)) {
        const char *after = at;
        if (!part_is(&part, "transformers_modules") || !part_next(&after, &org) || !part_next(&after, &name) ||
            !part_next(&after, &commit) || !part_is_hex(&commit, 40))
            continue;
        const char *inside = after;
        if (!part_append(identity->id, sizeof(identity->id), "hf:", 3) ||
            !append_unsanitized(identity->id, sizeof(identity->id), &org) ||
            !part_append(identity->id, sizeof(identity->id), "/", 1) ||
            !append_unsanitized(identity->id, sizeof(identity->id), &name))
            return false;
        part_append(identity->revision, sizeof(identity->revision), commit.text, commit.length);
        part_rest(identity->inside, sizeof(identity->inside), inside);
        return true;
    }
    return false;
}

/* What a model in several folders has in its top folder: diffusers, sentence-transformers, MLflow, TensorFlow. */
static bool is_top(const char *folder, size_t length)
{
    static const char *const names[] = {"model_index.json", "modular_model_index.json", "modules.json", "MLmodel",
                                        "saved_model.pb"};
    char path[PATH_MAX];

    if (length + 32 > sizeof(path))
        return false;
    memcpy(path, folder, length);
    path[length] = '/';
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct stat status;
        strcpy(path + length + 1, names[i]);
        if (raw_fstatat(AT_FDCWD, path, &status, 0) == 0)
            return true;
    }
    return false;
}

/* The folder that the file lies in, or the top one of a model in several. */
static void identify_folder(const char *path, struct model_identity *identity)
{
    const char *slash = strrchr(path, '/'), *inside = slash ? slash + 1 : path;

    for (unsigned up = 0; slash && slash > path && up <= MODEL_DEPTH; up++) {
        if (is_top(path, (size_t)(slash - path))) {
            inside = slash + 1;
            break;
        }
        while (slash > path && *--slash != '/')
            ;
    }
    part_append(identity->inside, sizeof(identity->inside), inside, strlen(inside));
    if (inside == path)
        return;
    size_t folder = inside - 1 == path ? 1 : (size_t)(inside - 1 - path);
    if (part_append(identity->id, sizeof(identity->id), "file:", 5))
        part_append(identity->id, sizeof(identity->id), path, folder);
}

/* The identity that the text of `path` tells; false when only folders could. */
static bool identify_text(const char *path, struct model_identity *identity)
{
    identity->id[0] = identity->revision[0] = identity->inside[0] = '\0';
    identity->hub = false;
    /* With ".." the text does not say where the file lies. */
    if (has_dot_dot(path))
        return false;
    identity->hub = identify_hub(path, identity) || identify_modules(path, identity);
    return identity->hub || model_cache_identify(path, identity);
}

void model_identify(const char *path, struct model_identity *identity)
{
    if (!identify_text(path, identity))
        identify_folder(path, identity);
}

bool model_in_hub(const char *path, struct model_identity *identity)
{
    identify_text(path, identity);
    return identity->hub;
}

bool model_in_cache(const char *path, struct model_identity *identity)
{
    return (strstr(path, "/snapshots/") || strstr(path, "/transformers_modules/") || strstr(path, "/torch/hub/")) &&
           identify_text(path, identity);
}

static bool ends(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length >= end_length && memcmp(name + length - end_length, end, end_length) == 0;
}

static bool starts(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

/* Files that only a model's own configs have beside them, and configs that only models have. Left out are names that
 * other data bears as well: .pkl, .msgpack, .npz, a .bin or .h5 of any name, config.json. */
static bool marks_model(const char *name)
{
    static const char *const endings[] = {
        ".safetensors", ".gguf",   ".pt",    ".pth",     ".ckpt",      ".onnx",       ".keras",      ".joblib",
        ".nemo",        ".tflite", ".skops", ".mlmodel", ".llamafile", ".weights.h5", ".index.json",
    };
    static const char *const names[] = {
        "adapter_config.json",
        "tokenizer_config.json",
        "generation_config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "model_index.json",
        "modular_model_index.json",
        "sentence_bert_config.json",
        "open_clip_config.json",
        "chat_template.json",
        "chat_template.jinja",
        "config_sentence_transformers.json",
        "saved_model.pb",
        "flax_model.msgpack",
        "tf_model.h5",
        "model.h5",
        "MLmodel",
    };
    /* With .bin: pytorch_model.bin, diffusion_pytorch_model.fp16.bin, model-00001-of-00002.bin, ... */
    static const char *const binaries[] = {
        "pytorch_model",
        "adapter_model",
        "diffusion_pytorch_model",
        "model",
        "open_clip_pytorch_model",
        "training_args",
        "pytorch_lora_weights",
        "consolidated",
        "optimizer",
    };

    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
        if (ends(name, endings[i]))
            return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (size_t i = 0; ends(name, ".bin") && i < sizeof(binaries) / sizeof(*binaries); i++)
        if (starts(name, binaries[i]) && strchr(".-_", name[strlen(binaries[i])]))
            return true;
    return false;
}

/* What the kernel fills in (getdents64(2)). */
struct entry {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

enum listing { LISTING_NONE, LISTING_MARKED, LISTING_UNKNOWN };

/* Lists of paths for Python are called .pth as weights are, but have a few lines. */
static bool is_path_list(int folder, const char *name)
{
    struct stat status;

    return ends(name, ".pth") && raw_fstatat(folder, name, &status, 0) == 0 && status.st_size < 16384;
}

/* Looks through the names in `folder`. UNKNOWN: it cannot be listed, or there are too many. `code`: NULL, or the name
 * of a file there that may be code, which is none of the weights then, as are lists of paths. */
static enum listing folder_look(const char *folder, const char *code)
{
    _Alignas(struct entry) char buffer[4096];
    const char *slash = strrchr(folder, '/');
    /* There *.pth are lists of paths, which site.py reads. */
    bool packages = strcmp(slash ? slash + 1 : folder, "site-packages") == 0 ||
                    strcmp(slash ? slash + 1 : folder, "dist-packages") == 0;
    unsigned seen = 0;
    enum listing found = LISTING_NONE;
    long length = 0;

    long fd = raw_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR ? LISTING_NONE : LISTING_UNKNOWN;
    while (found == LISTING_NONE && (length = raw_getdents64((int)fd, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < length && found == LISTING_NONE;) {
            const struct entry *entry = (const struct entry *)(const void *)(buffer + at);
            if (marks_model(entry->name) && !(packages && ends(entry->name, ".pth")) &&
                !(code && (strcmp(entry->name, code) == 0 || is_path_list((int)fd, entry->name))))
                found = LISTING_MARKED;
            else if (++seen >= MODEL_ROOT_ENTRIES)
                found = LISTING_UNKNOWN;
            at += entry->length;
        }
    }
    raw_close((int)fd);
    return length < 0 ? LISTING_UNKNOWN : found;
}

/* The folder of `path` into `folder`, which has PATH_MAX bytes. False: it is too long. */
static bool folder_of(const char *path, const char *slash, char *folder)
{
    size_t length = (size_t)(slash - path);

    if (length >= PATH_MAX)
        return false;
    memcpy(folder, path, length);
    memcpy(folder + length, "/", length == 0 ? 2 : 1);
    folder[length == 0 ? 1 : length] = '\0';
    return true;
}

/* Turns `folder` into the one above it. False: there is none. */
static bool folder_up(char *folder)
{
    char *last = strrchr(folder, '/');

    if (!last || strcmp(folder, "/") == 0)
        return false;
    if (strcmp(last, "/..") != 0)
        last[last == folder] = '\0';
    else if (strlen(folder) + 3 < PATH_MAX)
        strcat(folder, "/..");
    return true;
}

bool model_by_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return marks_model(slash ? slash + 1 : path);
}

bool model_in_root(const char *path)
{
    struct model_identity identity;
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    identify_text(path, &identity);
    if (identity.hub || !slash || marks_model(slash + 1))
        return identity.hub || (slash && marks_model(slash + 1));
    /* A folder that does not show its names may hold anything. */
    if (!folder_of(path, slash, folder) || folder_look(folder, NULL) != LISTING_NONE)
        return true;
    /* Its parent counts because pipelines keep each part in a folder; but only if it says so. */
    return folder_up(folder) && folder_look(folder, NULL) == LISTING_MARKED;
}

bool model_beside_weights(const char *path)
{
    struct model_identity identity;
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    identify_text(path, &identity);
    if (identity.hub || !slash)
        return identity.hub;
    return folder_of(path, slash, folder) && (folder_look(folder, slash + 1) == LISTING_MARKED ||
                                              (folder_up(folder) && folder_look(folder, "") == LISTING_MARKED));
}
