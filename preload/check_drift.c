/* The file against the lock. */
#include "check.h"

#include "file_hash.h"
#include "who.h"

#include <string.h>

/* What is new is denied without its hash when that would take long: hashing a whole checkpoint to name it
 * helps nobody. */
#define DRIFT_HASH_MAX (64u << 20)

/* Takes the hash, unless it is known. */
static void take_hash(struct check *check, const struct seal *seal)
{
    char *sha256 = check->verdict.sha256;
    if (!sha256[0] && file_hash(check->fd, &check->status, seal, sha256) != HASH_DONE)
        sha256[0] = 0;
}

/* A copy of a descriptor, or a hub's blob opened past its link: who knows only the content can compare only that. */
static bool goes_by_content(const struct check *check)
{
    return check->nameless || (check->model.hub && strncmp(check->model.inside, "blobs/", 6) == 0);
}

/* Other models that the file names, or names more loosely. */
static bool names_new(const struct check *check, const struct lock *lock, struct drift *drift)
{
    char id[512];
    for (size_t i = 0; i < check->judged.count; i++) {
        const struct finding *finding = &check->judged.findings[i];
        const char *target = finding->edge ? finding_target(finding) : NULL;
        const char *field = finding->effect.field ? finding->effect.field : finding->effect.name;
        if (!target || !edges_target(target, check->path, &check->model, id))
            continue;
        bool loose = finding->effect.kind == EFFECT_DEPEND && !effect_revision_pinned(finding->effect.revision);
        if (drift_new_edge(lock, check->model.id, id, field, drift) ||
            (loose && drift_lost_pin(lock, check->model.id, id, field, drift)))
            return true;
    }
    return false;
}

/* Another model's unpickler or Python, that opens it. */
static bool is_opened_anew(struct check *check, const struct lock *lock, struct drift *drift)
{
    char reading[VERDICT_PATH];
    struct model_identity parent;
    struct edge edge;
    enum origin origin = who_suspected() ? who_asks() : ORIGIN_UNKNOWN;
    if (origin == ORIGIN_UNPICKLER && guard_file_being_read(reading, sizeof reading) &&
        strcmp(reading, check->path) != 0) {
        model_identify(reading, &parent);
        return parent.id[0] && drift_new_edge(lock, parent.id, check->model.id, NULL, drift);
    }
    if (origin != ORIGIN_MODEL_CODE || lock_led_to(lock, check->model.id))
        return false;
    check_walk(check);
    edges_find(check->path, check->real, &check->model, NULL, check->frames, check->frame_count, &edge);
    return edge.kind == EDGE_OBSERVED && edge.parent[0] &&
           drift_new_edge(lock, edge.parent, check->model.id, NULL, drift);
}

void check_drift(struct check *check, bool judged, bool fresh, const struct seal *seal)
{
    const struct lock *lock = guard_lock();
    const char *format = !judged ? NULL : check->verdict.format ? check->verdict.format : "unknown";
    check->drift = check->new_edge = (struct drift){0};
    if (!lock)
        return;
    struct lock_found found = lock_find(lock, check->model.id, check->model.revision, check->model.inside);
    bool by_content = found.state != LOCK_FILE && goes_by_content(check);
    if (found.state == LOCK_OUTSIDE ||
        (found.state != LOCK_FILE && !drift_counts(&check->model, check->path, format)))
        return;
    if (found.state == LOCK_FILE || by_content || check->mode == MODE_AUDIT || check->status.st_size <= DRIFT_HASH_MAX)
        take_hash(check, seal);
    if (by_content && lock_has_content(lock, check->verdict.sha256))
        return;
    drift_find(&found, &check->model, check->verdict.sha256, &check->drift);
    if (!(fresh && names_new(check, lock, &check->new_edge)) && !is_opened_anew(check, lock, &check->new_edge))
        return;
    if (!check->drift.rule) {
        check->drift = check->new_edge;
        check->new_edge.rule = NULL;
    }
}
