#include "member_configs.h"
#include "config.h"

#include <string.h>

/* Of the name without its last part; "./" in front is left out. */
static uint64_t folder_hash(const char *name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    if (name[0] == '.' && name[1] == '/')
        name += 2;
    const char *slash = strrchr(name, '/');
    for (; slash && name < slash; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash;
}

static bool folder_known(const struct member_configs *configs, uint64_t hash)
{
    for (unsigned i = 0; i < configs->folder_count; i++)
        if (configs->folders[i] == hash)
            return true;
    return false;
}

void member_configs_see(struct member_configs *configs, struct scan *scan, const char *name, bool model, uint64_t place,
                        uint64_t size)
{
    uint64_t hash = folder_hash(name);
    if (model && configs->folder_count < MEMBER_FOLDERS && !folder_known(configs, hash))
        configs->folders[configs->folder_count++] = hash;
    if (model || configs->config_count == MEMBER_CONFIGS || !scan_config_name(name))
        return;
    struct member_config *config = &configs->configs[configs->config_count];
    *config = (struct member_config){arena_copy(scan->arena, name, strlen(name)), place, size};
    if (config->name)
        configs->config_count++;
    else
        scan_failed(scan, SCAN_MEMORY, 0);
}

bool member_config_counts(const struct member_configs *configs, const struct member_config *config)
{
    return folder_known(configs, folder_hash(config->name));
}

void member_config_run(struct scan *scan, const struct source *source, const char *name)
{
    struct arena_mark mark = arena_mark(scan->arena);
    const char *outer = scan->member;
    scan->member = scan_member_inside(scan, name);
    config_run(scan, source, name);
    scan->member = outer;
    arena_release(scan->arena, mark);
}
