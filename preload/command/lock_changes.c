/* What a new lock says that the old one did not. */
#include "lock_verb.h"

#include "command.h"

#include <string.h>

static void print_model(FILE *out, const struct lock_model *model)
{
    command_print_visible(out, model->id);
    if (model->revision) {
        fputc('@', out);
        command_print_visible(out, model->revision);
    }
}

static void print_file(FILE *out, const char *what, const struct lock_model *model, const char *inside)
{
    fprintf(out, "%s ", what);
    print_model(out, model);
    fputc(' ', out);
    command_print_visible(out, inside);
}

/* Files of one model in both, each list sorted. */
static bool compare_files(FILE *out, const struct lock_model *old, const struct lock_model *new)
{
    size_t i = 0, j = 0;
    bool differ = false;

    while (i < old->file_count || j < new->file_count) {
        int order = i == old->file_count   ? 1
                    : j == new->file_count ? -1
                                           : strcmp(old->files[i].inside, new->files[j].inside);
        if (order == 0 && strcmp(old->files[i].sha256, new->files[j].sha256) != 0) {
            print_file(out, "changed", new, new->files[j].inside);
            fprintf(out, ": SHA-256 %s, now %s\n", old->files[i].sha256, new->files[j].sha256);
            differ = true;
        } else if (order != 0) {
            print_file(out, order < 0 ? "gone   " : "new    ", new,
                       order < 0 ? old->files[i].inside : new->files[j].inside);
            fputc('\n', out);
            differ = true;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return differ;
}

static int compare_places(const struct lock_model *a, const struct lock_model *b)
{
    int order = strcmp(a->id, b->id);

    return order != 0 ? order : strcmp(a->revision ? a->revision : "", b->revision ? b->revision : "");
}

/* Which models lead to which others. */
static bool compare_edges(FILE *out, const struct lock *old, const struct lock *new)
{
    size_t i = 0, j = 0;
    bool differ = false;

    while (i < lock_edge_count(old) || j < lock_edge_count(new)) {
        const struct lock_edge *before = i < lock_edge_count(old) ? lock_edge(old, i) : NULL;
        const struct lock_edge *after = j < lock_edge_count(new) ? lock_edge(new, j) : NULL;
        int order = !before ? 1 : !after ? -1 : strcmp(before->from, after->from);
        if (order == 0 && before && after)
            order = strcmp(before->to, after->to);
        const struct lock_edge *edge = order < 0 ? before : after;
        if (order != 0 && edge) {
            fputs(order < 0 ? "gone    " : "new     ", out);
            command_print_visible(out, edge->from);
            fputs(" leads to ", out);
            command_print_visible(out, edge->to);
            fputc('\n', out);
            differ = true;
        }
        if (order == 0 && before && after && before->pinned != after->pinned) {
            fputs("changed ", out);
            command_print_visible(out, after->from);
            fputs(after->pinned ? " names the commit of " : " no longer names the commit of ", out);
            command_print_visible(out, after->to);
            fputc('\n', out);
            differ = true;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return differ;
}

bool lock_print_changes(FILE *out, const struct lock *old, const struct lock *new)
{
    size_t i = 0, j = 0, old_count = old ? lock_models(old) : 0;
    bool differ = false;

    while (old && (i < old_count || j < lock_models(new))) {
        const struct lock_model *before = i < old_count ? lock_model(old, i) : NULL;
        const struct lock_model *after = j < lock_models(new) ? lock_model(new, j) : NULL;
        int order = !before ? 1 : !after ? -1 : compare_places(before, after);
        if (order == 0) {
            differ |= compare_files(out, before, after);
        } else {
            bool known = order > 0 && lock_find(old, after->id, after->revision, "").state == LOCK_MOVED;
            fputs(order < 0 ? "gone    " : known ? "moved   " : "new     ", out);
            print_model(out, order < 0 ? before : after);
            if (known)
                fprintf(out, ": was at %s", lock_find(old, after->id, after->revision, "").revision);
            fputc('\n', out);
            differ = true;
        }
        i += order <= 0;
        j += order >= 0;
    }
    if (old)
        differ |= compare_edges(out, old, new);
    return differ;
}
