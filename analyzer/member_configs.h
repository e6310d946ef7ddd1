/* Configs among the members of an archive, such as a .nemo's model_config.yaml: they are judged where they lie in one
 * folder with a member that is a model, as files on disk are. What that is shows only when the archive has been walked
 * through. */
#ifndef GUARD_MEMBER_CONFIGS_H
#define GUARD_MEMBER_CONFIGS_H

#include "format.h"

/* Configs and folders remembered of one archive; models have some ten of the one, and one or two of the other. */
#define MEMBER_CONFIGS 32u
#define MEMBER_FOLDERS 32u

struct member_config {
    const char *name;
    uint64_t place, size; /* as the archive's format finds it again */
};

struct member_configs {
    struct member_config configs[MEMBER_CONFIGS];
    uint64_t folders[MEMBER_FOLDERS]; /* hashes of those that hold a model */
    unsigned config_count, folder_count;
};

/* Takes note of a member; `model`: something in it bid. The name is copied to the arena, below whatever mark the caller
 * sets afterwards. */
void member_configs_see(struct member_configs *configs, struct scan *scan, const char *name, bool model, uint64_t place,
                        uint64_t size);

/* Does the config lie beside a model? */
bool member_config_counts(const struct member_configs *configs, const struct member_config *config);

/* Analyses `source` as the member `name`, if a loader would read it as a config. */
void member_config_run(struct scan *scan, const struct source *source, const char *name);

#endif
