#include "edges.h"

#include "path_part.h"
#include "raw.h"
#include "text_hash.h"

#include <limits.h>

/* Odd version: being written. Readers copy and compare the version; nobody ever waits. */
struct named {
    uint32_t version;
    struct edge edge;
};
static uint64_t targets[EDGES_MAX]; /* apart, because every load looks through them; 0: none */
static struct named rows[EDGES_MAX];
static uint32_t next_row;
static uint64_t file_names; /* a bit for the last part of each file that was noted */

const char *edge_kind_name(enum edge_kind kind)
{
    static const char *const names[] = {"observed", "declared", "pickled"};
    return names[kind];
}

static void remember(uint64_t target, const struct edge *edge)
{
    uint32_t i = __atomic_fetch_add(&next_row, 1, __ATOMIC_RELAXED) % EDGES_MAX;
    struct named *row = &rows[i];
    uint32_t version = __atomic_load_n(&row->version, __ATOMIC_RELAXED);
    if ((version & 1) || !__atomic_compare_exchange_n(&row->version, &version, version + 1, false, __ATOMIC_ACQ_REL,
                                                      __ATOMIC_RELAXED))
        return;
    row->edge = *edge;
    __atomic_store_n(&targets[i], target, __ATOMIC_RELAXED);
    __atomic_store_n(&row->version, version + 2, __ATOMIC_RELEASE);
}

/* The latest that named one of `wanted`. */
static bool recall(const uint64_t *wanted, unsigned count, struct edge *edge)
{
    uint32_t last = __atomic_load_n(&next_row, __ATOMIC_RELAXED);
    for (uint32_t back = 1; back <= EDGES_MAX && back <= last; back++) {
        uint32_t i = (last - back) % EDGES_MAX;
        uint64_t target = __atomic_load_n(&targets[i], __ATOMIC_RELAXED);
        bool found = false;
        for (unsigned k = 0; k < count && !found; k++)
            found = wanted[k] == target;
        if (!found)
            continue;
        uint32_t version = __atomic_load_n(&rows[i].version, __ATOMIC_ACQUIRE);
        *edge = rows[i].edge;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(version & 1) && __atomic_load_n(&rows[i].version, __ATOMIC_RELAXED) == version)
            return true;
    }
    return false;
}

/* Remembers a path, and the model that it is or lies in: of a folder nobody knows which file will be opened. */
static void note_path(char path[PATH_MAX], const struct model_identity *declarer, const struct edge *edge)
{
    struct model_identity identity;
    path_straighten(path);
    remember(text_hash(TEXT_HASH_START, path), edge);
    if (strlen(path) + 3 > PATH_MAX)
        return;
    strcat(path, "/x");
    model_identify(path, &identity);
    if (identity.id[0] != '\0' && strcmp(identity.id, declarer->id) != 0)
        remember(text_hash(TEXT_HASH_START, identity.id), edge);
}

static struct edge edge_of(const struct model_identity *model, enum edge_kind kind)
{
    struct edge edge = {.kind = kind};
    strcpy(edge.parent, model->id);
    strcpy(edge.from, model->inside);
    return edge;
}

void edges_note(const char *target, const char *path, const struct model_identity *declarer, enum edge_kind kind)
{
    char whole[PATH_MAX], folder[PATH_MAX], id[512] = "hf:";
    if (target[0] == '\0' || declarer->id[0] == '\0')
        return;
    struct edge edge = edge_of(declarer, kind);
    if (target[0] == '/') {
        if (path_join(whole, "", 0, target + 1))
            note_path(whole, declarer, &edge);
        return;
    }
    const char *slash = strchr(target, '/');
    if (target[0] != '.' && !(slash && strchr(slash + 1, '/')) && part_append(id, sizeof(id), target, strlen(target)) &&
        strcmp(id, declarer->id) != 0)
        remember(text_hash(TEXT_HASH_START, id), &edge);
    if (raw_syscall6(SYS_getcwd, (long)folder, PATH_MAX, 0, 0, 0, 0) > 0 && folder[0] == '/' &&
        path_join(whole, folder, strlen(folder), target))
        note_path(whole, declarer, &edge);
    if (path_join(whole, path, path_folder_length(path), target))
        note_path(whole, declarer, &edge);
}

/* Is there something at `path`, and of which model is it? */
static bool identify_there(char path[PATH_MAX], char id[512])
{
    struct model_identity identity;
    struct stat status;
    path_straighten(path);
    if (raw_fstatat(AT_FDCWD, path, &status, 0) < 0 || strlen(path) + 3 > PATH_MAX)
        return false;
    if (S_ISDIR(status.st_mode))
        strcat(path, "/x");
    model_identify(path, &identity);
    strcpy(id, identity.id);
    return id[0] != '\0';
}

bool edges_target(const char *target, const char *path, const struct model_identity *declarer, char id[512])
{
    char whole[PATH_MAX], folder[PATH_MAX];
    const char *slash = strchr(target, '/');
    if (target[0] == '\0' || strcmp(target, ".") == 0 || declarer->id[0] == '\0') /* ".": itself */
        return false;
    bool found = false;
    if (target[0] == '/') {
        found = path_join(whole, "", 0, target + 1) && identify_there(whole, id);
    } else {
        found = (raw_syscall6(SYS_getcwd, (long)folder, PATH_MAX, 0, 0, 0, 0) > 0 && folder[0] == '/' &&
                 path_join(whole, folder, strlen(folder), target) && identify_there(whole, id)) ||
                (path_join(whole, path, path_folder_length(path), target) && identify_there(whole, id));
        if (!found && target[0] != '.' && !(slash && strchr(slash + 1, '/'))) {
            strcpy(id, "hf:");
            found = part_append(id, 512, target, strlen(target));
        }
    }
    return found && strcmp(id, declarer->id) != 0;
}

void edges_note_file(const char *target, const char *path, const struct model_identity *declarer)
{
    char whole[PATH_MAX];
    if (target[0] == '\0' || declarer->id[0] == '\0' || !path_join(whole, target[0] == '/' ? "" : path,
                                                            target[0] == '/' ? 0 : path_folder_length(path), target))
        return;
    struct edge edge = edge_of(declarer, EDGE_DECLARED);
    path_straighten(whole);
    remember(text_hash(TEXT_HASH_START, whole), &edge);
    __atomic_fetch_or(&file_names, path_name_bit(whole), __ATOMIC_RELAXED);
}

bool edges_may_name(const char *path)
{
    uint64_t names = __atomic_load_n(&file_names, __ATOMIC_RELAXED);
    return names != 0 && (names & path_name_bit(path)) != 0;
}

/* Kept among the edges, under a key of its own. */
static uint64_t ref_key(const char *model)
{
    return text_hash(text_hash(TEXT_HASH_START, "ref of "), model);
}

void edges_note_ref(const char *path)
{
    struct model_identity identity;
    struct edge edge = {0};
    if (!strstr(path, "/refs/"))
        return;
    model_identify(path, &identity);
    if (!identity.hub || strncmp(identity.inside, "refs/", 5) != 0)
        return;
    strcpy(edge.from, identity.inside + 5);
    remember(ref_key(identity.id), &edge);
}

bool edges_ref(const char *model, char ref[512])
{
    struct edge edge;
    uint64_t key = ref_key(model);
    if (!recall(&key, 1, &edge))
        return false;
    strcpy(ref, edge.from);
    return true;
}

void edges_find(const char *path, const char *real, const struct model_identity *model, const char *reading,
                const struct frame *frames, unsigned frame_count, struct edge *edge)
{
    char folder[PATH_MAX];
    struct model_identity other;
    *edge = (struct edge){.kind = EDGE_OBSERVED};
    if (reading && strcmp(reading, path) != 0) {
        model_identify(reading, &other);
        if (other.id[0] != '\0') {
            *edge = edge_of(&other, EDGE_PICKLED);
            return;
        }
    }
    size_t length = path_folder_length(path);
    memcpy(folder, path, length);
    folder[length] = '\0';
    const char *texts[] = {path, real, folder, model->id};
    uint64_t wanted[4];
    for (unsigned i = 0; i < 4; i++)
        wanted[i] = text_hash(TEXT_HASH_START, texts[i]);
    if (recall(wanted, 4, edge))
        return;
    *edge = (struct edge){.kind = EDGE_OBSERVED};
    for (unsigned i = 0; i < frame_count; i++) {
        if (frames[i].file[0] == '/' && model_in_cache(frames[i].file, &other) && strcmp(other.id, model->id) != 0) {
            *edge = edge_of(&other, EDGE_OBSERVED);
            return;
        }
    }
}
