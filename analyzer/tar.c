#include "member_configs.h"
#include "tar.h"

#include <string.h>

static unsigned tar_bid(const struct bid_view *view)
{
    if (view->head_length < TAR_BLOCK || !tar_checksum_ok(view->head))
        return 0;
    return 32;
}

/* How much of a compressed tar is inflated to find the first member that bids. Data sets come as tars of many GB, and
 * inflating 256 MB takes a second; packed models begin with their configs and weights. */
#define SILENT_MAX (256u << 20)

/* The legacy PyTorch tar: members "storages" and "tensors" hold several pickles with raw tensors in between, whose
 * lengths depend on what the pickles say; torch.load unpickles all of them, storages first, which therefore is enough
 * to run. */
struct torch_tar {
    bool pickled, storages, tensors, pickle;
};

static void torch_tar_see(struct torch_tar *torch, const char *name, bool found)
{
    if (strcmp(name, "storages") == 0) {
        torch->storages = true;
        torch->pickled |= found;
    } else if (strcmp(name, "tensors") == 0) {
        torch->tensors = true;
    } else if (strcmp(name, "pickle") == 0) {
        torch->pickle = true;
    }
}

static bool member_scan(struct scan *scan, const struct source *source, const struct tar_member *member)
{
    struct source_slice slice = {source, member->data};
    struct source content = source_from_slice(&slice, member->size);
    bool found = scan_nested(scan, &content, member->name);
    if (found && content.size < member->size && !source->streamed)
        scan_malformed(scan, "tar", "tar-truncated", member->data, "a member runs past the end of the file");
    return found;
}

static void configs_run(struct scan *scan, const struct source *source, const struct member_configs *configs,
                        const struct name_set *folders)
{
    for (unsigned i = 0; i < configs->count && !scan->stopped; i++) {
        const struct member_config *config = &configs->configs[i];
        struct source_slice slice = {source, config->place};
        struct source content = source_from_slice(&slice, config->size);
        if (member_folders_have(folders, config->name))
            member_config_run(scan, &content, config->name);
    }
    if (configs->more)
        scan_opaque(scan, "tar", "tar-configs", 0, "more configs than are inspected");
}

static bool tar_run(struct scan *scan, const struct source *source)
{
    struct tar_walk walk;
    struct tar_member member;
    struct torch_tar torch = {0};
    size_t outside = scan->result->format_count;
    bool any = false;
    struct member_configs *configs = arena_take(scan->arena, sizeof *configs);
    struct name_set folders;
    if (!configs)
        scan_failed(scan, SCAN_MEMORY, 0);
    if (!configs || !member_folders_open(&folders, scan) || !tar_walk_open(&walk, scan, source))
        return false;
    while (!scan->stopped && walk.seen < LIMIT_MEMBERS && tar_walk_next(&walk, &member)) {
        if (source->streamed && !any && member.data > SILENT_MAX)
            break;
        struct arena_mark mark = arena_mark(scan->arena);
        bool found = member.size > 0 && member_scan(scan, source, &member);
        torch_tar_see(&torch, member.name, found);
        any |= found;
        arena_release(scan->arena, mark);
        if (found)
            member_folders_add(&folders, member.name);
        else
            member_configs_see(configs, scan, member.name, member.data, member.size);
    }
    bool old_torch = torch.pickled || (torch.storages && torch.tensors && torch.pickle);
    if (scan->stopped || !(any || old_torch))
        return any;
    if (old_torch)
        scan_is_around(scan, "torch-tar", outside);
    scan_is_around(scan, "tar", outside);
    configs_run(scan, source, configs, &folders);
    if (old_torch)
        scan_opaque(scan, "torch-tar", "torch-legacy-tar", 0,
                    "pickles lie between raw tensors and are not all inspected");
    if (walk.seen >= LIMIT_MEMBERS)
        scan_opaque(scan, "tar", "tar-members", walk.offset, "more members than are inspected");
    if (walk.damaged)
        scan_malformed(scan, "tar", "tar-header", walk.offset, "a member's header is damaged");
    return true;
}

const struct format format_tar = {"tar", tar_bid, tar_run};
