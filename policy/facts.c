/* Facts about frameworks that a policy states beside its rules: whose pipes, whose caches and whose threads. */
#include "rules.h"

#include <string.h>

static bool any_matches(const cJSON *list, const char *text, char separator)
{
    for (const cJSON *item = list_first(list); item != NULL; item = list_next(list, item)) {
        if (policy_glob(item->valuestring, text, separator))
            return true;
    }
    return false;
}

static const cJSON *fact(const struct policy *policy, size_t number, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(policy->documents[number].root, key);
}

bool policy_lists_module(const struct policy *policy, enum module_list list, const char *module)
{
    static const char *const keys[] = {"ipc", "exchanges", "wrappers", "loaders", "restorers", "caches",
                                       "compilers"};
    for (size_t number = 0; number < policy->document_count; number++) {
        const cJSON *modules = fact(policy, number, keys[list]);
        if (list == MODULES_CACHES)
            modules = cJSON_GetObjectItemCaseSensitive(modules, "modules");
        if (any_matches(modules, module, '.'))
            return true;
    }
    return false;
}

static bool states(const struct policy *policy, const char *key, const char *text)
{
    for (size_t number = 0; number < policy->document_count; number++) {
        if (any_matches(fact(policy, number, key), text, '/'))
            return true;
    }
    return false;
}

bool policy_is_service_file(const struct policy *policy, const char *path)
{
    return states(policy, "services", path);
}

bool policy_is_starter(const struct policy *policy, const char *name)
{
    return states(policy, "starters", name);
}

/* "~/" in a pattern stands for the user's home, taken literally. */
static bool cache_path_matches(const char *pattern, const char *path, const char *home)
{
    if (strncmp(pattern, "~/", 2) != 0)
        return policy_glob(pattern, path, '/');
    size_t length = home != NULL ? strlen(home) : 0;
    while (length > 0 && home[length - 1] == '/')
        length--;
    return length > 0 && strncmp(path, home, length) == 0 && path[length] == '/' &&
           policy_glob(pattern + 2, path + length + 1, '/');
}

bool policy_is_cache_path(const struct policy *policy, const char *path, const char *home)
{
    if (strstr(path, "/../") != NULL)
        return false;
    for (size_t number = 0; number < policy->document_count; number++) {
        const cJSON *paths = cJSON_GetObjectItemCaseSensitive(fact(policy, number, "caches"), "paths");
        for (const cJSON *item = list_first(paths); item != NULL; item = list_next(paths, item)) {
            if (cache_path_matches(item->valuestring, path, home))
                return true;
        }
    }
    return false;
}
