/* The file against the lock. */
#include "check.h"

#include "file_hash.h"

#include <string.h>

/* What is new is denied without its hash when that would take long: hashing a whole checkpoint to name it helps nobody. */
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

void check_drift(struct check *check, bool judged, const struct seal *seal)
{
    const struct lock *lock = guard_lock();
    const char *format = !judged ? NULL : check->verdict.format ? check->verdict.format : "unknown";
    check->drift.rule = NULL;
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
}
