#include "asker.h"

#include <string.h>

const char *asker_installed_part(const char *file)
{
    static const char *const folders[] = {"/site-packages/", "/dist-packages/"};
    for (size_t i = 0; i < 2; i++) {
        const char *found = strstr(file, folders[i]);
        if (found)
            return found + strlen(folders[i]);
    }
    return NULL;
}

bool asker_is_standard_library(const char *file)
{
    return file[0] == '<' || (!asker_installed_part(file) && strstr(file, "/lib/python3"));
}

struct asker asker_find(const struct frame *frames, unsigned count)
{
    struct asker asker = {-1, -1, -1};
    for (unsigned i = 0; i < count && asker.app < 0; i++) {
        if (asker_is_standard_library(frames[i].file))
            continue;
        if (!asker_installed_part(frames[i].file)) {
            asker.app = (int)i;
        } else {
            asker.entry = (int)i;
            if (asker.actor < 0)
                asker.actor = (int)i;
        }
    }
    return asker;
}

enum origin asker_origin(const struct frame *frames, unsigned count)
{
    struct asker asker = asker_find(frames, count);
    return asker.actor >= 0 ? ORIGIN_LIBRARY : asker.app >= 0 ? ORIGIN_APP : ORIGIN_UNKNOWN;
}
