#include "place.h"

#include "environment.h"
#include "guard.h"
#include "model.h"
#include "raw.h"

#include <limits.h>
#include <string.h>

static size_t without_slashes(const char *folder)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    return length;
}

bool place_within(const char *path, const char *folder)
{
    size_t length = without_slashes(folder);
    return length > 1 && strncmp(path, folder, length) == 0 && path[length] == '/';
}

bool place_site_packages(const char *folder)
{
    size_t length = without_slashes(folder);
    return length > 14 && (strncmp(folder + length - 14, "/site-packages", 14) == 0 ||
                           strncmp(folder + length - 14, "/dist-packages", 14) == 0);
}

bool place_temporary(const char *path)
{
    return place_within(path, "/tmp") || place_within(path, "/var/tmp") || place_within(path, "/dev/shm") ||
           place_within(path, environment.temporary);
}

/* Is `path` below `folder` one of the caches that the policy lists below `usual`? Both folders are chosen by the
 * environment, and stand in the policy by their defaults. */
static bool is_moved_cache(const struct policy *policy, const char *real, const char *folder, const char *usual)
{
    char path[PATH_MAX];
    size_t length = without_slashes(folder), used = strlen(usual);
    if (!place_within(real, folder) || used + strlen(real + length) >= sizeof path)
        return false;
    strcpy(path, usual);
    strcpy(path + used, real + length);
    return policy_is_cache_path(policy, path, environment.home);
}

bool place_own_cache(const char *real, const struct stat *status)
{
    const struct policy *policy = guard_policy();
    if (!policy || status->st_uid != (uid_t)raw_syscall6(SYS_geteuid, 0, 0, 0, 0, 0, 0) ||
        (status->st_mode & (S_IWGRP | S_IWOTH)))
        return false;
    return (policy_is_cache_path(policy, real, environment.home) ||
            is_moved_cache(policy, real, environment.temporary, "/tmp") ||
            is_moved_cache(policy, real, environment.inductor, "/tmp/torchinductor_user")) &&
           !model_in_root(real);
}
