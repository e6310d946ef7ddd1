#include "member_configs.h"
#include "config.h"

#include <string.h>

/* Of the name without its last part; "./" in front is left out. */
static uint64_t folder_hash(const char *name)
{
    if (name[0] == '.' && name[1] == '/')
        name += 2;
    const char *slash = strrchr(name, '/');
    return name_hash(NAME_HASH, name, slash ? (size_t)(slash - name) : 0);
}

bool member_folders_open(struct name_set *folders, struct scan *scan)
{
    if (name_set_open(folders, scan->arena, LIMIT_MEMBER_CONFIGS))
        return true;
    scan_failed(scan, SCAN_MEMORY, 0);
    return false;
}

void member_folders_add(struct name_set *folders, const char *name)
{
    name_set_add(folders, folder_hash(name));
}

bool member_folders_have(const struct name_set *folders, const char *name)
{
    return name_set_full(folders) || name_set_has(folders, folder_hash(name));
}

void member_configs_see(struct member_configs *configs, struct scan *scan, const char *name, uint64_t place,
                        uint64_t size)
{
    if (!scan_config_name(name))
        return;
    if (configs->count == LIMIT_MEMBER_CONFIGS) {
        configs->more = true;
        return;
    }
    struct member_config *config = &configs->configs[configs->count];
    *config = (struct member_config){arena_copy(scan->arena, name, strlen(name)), place, size};
    if (config->name)
        configs->count++;
    else
        scan_failed(scan, SCAN_MEMORY, 0);
}

bool member_config_run(struct scan *scan, const struct source *source, const char *name)
{
    struct arena_mark mark = arena_mark(scan->arena);
    const char *outer = scan->member;
    scan->member = scan_member_inside(scan, name);
    bool config = config_run(scan, source, name);
    scan->member = outer;
    arena_release(scan->arena, mark);
    return config;
}
