/* Configs among the members of an archive, such as a .nemo's model_config.yaml: they are judged where they lie in one
 * folder with a member that is a model, as files on disk are. What that is shows only when the archive has been walked
 * through. */
#ifndef GUARD_MEMBER_CONFIGS_H
#define GUARD_MEMBER_CONFIGS_H

#include "name_set.h"

struct member_config {
    const char *name;
    uint64_t place, size; /* as the archive's format finds it again */
};

struct member_configs {
    struct member_config configs[LIMIT_MEMBER_CONFIGS];
    unsigned count;
    bool more; /* than are remembered */
};

/* The folders that hold models. False: no memory, and the scan has failed. */
bool member_folders_open(struct name_set *folders, struct scan *scan);

/* The member `name` is a model: something in it bid. */
void member_folders_add(struct name_set *folders, const char *name);

/* Does the member `name` lie beside a model? */
bool member_folders_have(const struct name_set *folders, const char *name);

/* Takes note of a member that may be a config. The name is copied to the arena, below whatever mark the
 * caller sets afterwards. */
void member_configs_see(struct member_configs *configs, struct scan *scan, const char *name, uint64_t place,
                        uint64_t size);

/* Analyses `source` as the member `name`, if a loader would read it as a config. Returns whether it is one. */
bool member_config_run(struct scan *scan, const struct source *source, const char *name);

#endif
