#define _GNU_SOURCE
#include "phase.h"

#include "guard.h"
#include "text_hash.h"

#include <time.h>

#define PHASE_MODELS 1024 /* remembered; of more, the oldest would be told again */

/* Seconds of a clock that starts with the machine, so never 0; 0: no model was opened yet. */
static int64_t last_opened;
static bool serving;

/* Takes note of an opening; has the quiet been long enough once? */
static bool serves(unsigned quiet_seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t seconds = (int64_t)now.tv_sec + 1, before = __atomic_exchange_n(&last_opened, seconds, __ATOMIC_RELAXED);
    if (before != 0 && seconds - before >= quiet_seconds)
        __atomic_store_n(&serving, true, __ATOMIC_RELAXED);
    return __atomic_load_n(&serving, __ATOMIC_RELAXED);
}

static bool admits(const struct model_identity *model, const char *path)
{
    const char *revision = model->revision[0] != '\0' ? model->revision : NULL;
    struct effect effect = {.kind = EFFECT_DEPEND, .name = model->id, .how = DEPEND_OBSERVED, .revision = revision};
    struct subject subject = {
        .effect = &effect, .moment = MOMENT_LIVE, .path = path, .model = model->id, .revision = revision};
    return guard_decide(&subject, NULL, 0, NULL, 0) != DECISION_DENY;
}

bool phase_admits(const struct policy *policy, const struct model_identity *model, const char *path)
{
    static uint64_t hashes[PHASE_MODELS];
    static struct text_seen models = {hashes, PHASE_MODELS, 0};
    uint64_t hash = text_hash(text_hash(TEXT_HASH_START, model->id), model->revision);
    unsigned quiet_seconds = policy_quiet_seconds(policy);
    bool late = quiet_seconds != 0 && serves(quiet_seconds);
    if (model->id[0] == '\0' || text_was_seen(&models, hash))
        return true;
    /* Data sets are arrays and pickles as well, but do not lie beside weights. */
    bool may = !late || !(model->hub || model_in_root(path)) || admits(model, path);
    if (may)
        text_remember(&models, hash);
    return may;
}
