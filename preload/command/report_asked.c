/* Who asked for a model, from the frames of the record and from where the model's name is written down. */
#include "report_build.h"

#include "../asker.h"

#include <stdlib.h>
#include <string.h>

/* Frames as the library's own functions take them. */
static unsigned frames_read(const cJSON *by, struct frame *frames, unsigned most)
{
    unsigned count = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(by, "python")) {
        const char *file = log_text(item, "file"), *function = log_text(item, "function");
        if (count == most || !file)
            break;
        snprintf(frames[count].file, sizeof(frames[count].file), "%s", file);
        snprintf(frames[count].function, sizeof(frames[count].function), "%s", function ? function : "");
        frames[count++].line = (int)log_number(item, "line", 0);
    }
    return count;
}

/* "package" of ".../site-packages/package/module.py". */
static void package_name(const char *file, char *name, size_t size)
{
    const char *part = asker_installed_part(file);

    snprintf(name, size, "%.*s", (int)strcspn(part, "/"), part);
    char *end = strrchr(name, '.');
    if (end && strcmp(end, ".py") == 0)
        *end = '\0';
}

static void asked_frame(struct asked *asked, enum asked_by by, const char *name, const struct frame *frame)
{
    asked->by = by;
    asked->name = report_keep(name);
    asked->file = report_keep(frame->file);
    asked->line = frame->line;
}

/* Does one of the packages on the way load something of its own choosing? The one nearest to the program counts. */
static int chooser(const struct report *report, const struct frame *frames, unsigned count)
{
    char name[256];

    for (unsigned i = count; i-- > 0;) {
        if (asker_is_standard_library(frames[i].file) || !asker_installed_part(frames[i].file))
            continue;
        package_name(frames[i].file, name, sizeof(name));
        if (!policy_lists_module(report->policy, MODULES_LOADERS, name))
            return (int)i;
    }
    return -1;
}

void report_asked(const struct report *report, struct asked *asked, const cJSON *object)
{
    struct frame frames[48];
    unsigned count = frames_read(cJSON_GetObjectItemCaseSensitive(object, "by"), frames, 48);
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(object, "named");
    struct asker asker = asker_find(frames, count);
    char name[256];

    if (cJSON_IsObject(named) && !asked->named_by) {
        asked->named_by = report_keep(log_text(named, "by"));
        asked->named_file = report_keep(log_text(named, "file"));
        asked->named_line = log_number(named, "line", 0);
    }
    if (asked->by != ASKED_NOBODY)
        return;
    /* What is typed in, given by -c or piped in has no file. */
    if (asker.app < 0 && count > 0 && frames[count - 1].file[0] == '<' &&
        strcmp(frames[count - 1].function, "<module>") == 0)
        asker.app = (int)count - 1;
    /* A pool that the application set up runs without its frames; its source names the model all the same. */
    if (asker.app < 0 && asked->named_file && asked->named_by && strcmp(asked->named_by, "app") == 0) {
        struct frame source = {.line = (int)asked->named_line};
        const char *slash = strrchr(asked->named_file, '/');
        snprintf(source.file, sizeof(source.file), "%s", asked->named_file);
        asked_frame(asked, ASKED_APP, slash ? slash + 1 : asked->named_file, &source);
        return;
    }
    int choose = chooser(report, frames, count);
    asked->other_library = choose >= 0 || (asker.app < 0 && asker.entry >= 0);
    if (asker.app >= 0) {
        const char *slash = strrchr(frames[asker.app].file, '/');
        asked_frame(asked, ASKED_APP, slash ? slash + 1 : frames[asker.app].file, &frames[asker.app]);
    } else if (asker.entry >= 0) {
        int at = choose >= 0 ? choose : asker.entry;
        package_name(frames[at].file, name, sizeof(name));
        asked_frame(asked, ASKED_LIBRARY, name, &frames[at]);
    } else {
        asked->by = ASKED_UNKNOWN;
    }
    if (asker.app >= 0 && choose >= 0) {
        bool app_names = asked->named_by && strcmp(asked->named_by, "library") != 0;
        if (!app_names) {
            free(asked->name);
            free(asked->file);
            package_name(frames[choose].file, name, sizeof(name));
            asked_frame(asked, ASKED_LIBRARY, name, &frames[choose]);
        }
    }
}
