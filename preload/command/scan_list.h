/* Which files a scan is about. */
#ifndef GUARD_SCAN_LIST_H
#define GUARD_SCAN_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct scan_item {
    char *path;
    char *error; /* why it cannot even be looked at, or NULL */
};

struct scan_list {
    struct scan_item *items;
    size_t count, room;
    size_t dangling; /* links to nothing, left out */
};

/* Adds `path`: a folder with all regular files below it, in sorted order. Links to files are followed, links to folders
 * only when named themselves, so that no loop can arise; links to nothing, FIFOs, sockets and devices below a folder
 * are left out. A path that is not there is added with its error. */
void scan_list_add(struct scan_list *list, const char *path);

/* Adds the paths that stand in `file` ("-": standard input), one a line; NUL bytes end lines as well. False, with
 * errno, when it cannot be read. */
bool scan_list_add_from(struct scan_list *list, const char *file);

void scan_list_free(struct scan_list *list);

#endif
