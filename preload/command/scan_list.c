#define _GNU_SOURCE
#include "scan_list.h"

#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Folders within folders; PATH_MAX allows no more than 2048 anyway. */
#define DEPTH_MAX 1024u

/* Takes over `path`. */
static void add(struct scan_list *list, char *path, int error)
{
    if (list->count == list->room) {
        list->room = list->room > 0 ? 2 * list->room : 256;
        struct scan_item *items = command_memory(list->room * sizeof(*items));
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        free(list->items);
        list->items = items;
    }
    list->items[list->count++] =
        (struct scan_item){.path = path, .error = error ? command_copy(strerror(error)) : NULL};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in the folder, sorted, or NULL with errno. */
static char **folder_names(const char *path, size_t *count)
{
    size_t room = 64;
    DIR *folder = opendir(path);

    *count = 0;
    if (!folder)
        return NULL;
    char **names = command_memory(room * sizeof(*names));
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (*count == room) {
            char **more = command_memory(2 * room * sizeof(*more));
            memcpy(more, names, room * sizeof(*names));
            free(names);
            names = more;
            room *= 2;
        }
        names[(*count)++] = command_copy(entry->d_name);
    }
    closedir(folder);
    qsort(names, *count, sizeof(*names), by_name);
    return names;
}

static char *joined(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    char *path = command_memory(length + strlen(name) + 2);

    memcpy(path, folder, length);
    if (length > 0 && folder[length - 1] != '/')
        path[length++] = '/';
    strcpy(path + length, name);
    return path;
}

static void add_folder(struct scan_list *list, char *path, unsigned depth);

/* Adds one name below a folder. Takes over `path`. */
static void add_below(struct scan_list *list, char *path, unsigned depth)
{
    struct stat status;

    if (lstat(path, &status) < 0) {
        /* Gone since the folder was read: then there is nothing to judge. */
        if (errno == ENOENT)
            free(path);
        else
            add(list, path, errno);
        return;
    }
    bool link = S_ISLNK(status.st_mode);
    if (link && stat(path, &status) < 0) {
        list->dangling += errno == ENOENT || errno == ELOOP;
        if (errno == ENOENT || errno == ELOOP)
            free(path);
        else
            add(list, path, errno);
        return;
    }
    if (S_ISREG(status.st_mode))
        add(list, path, 0);
    else if (S_ISDIR(status.st_mode) && !link)
        add_folder(list, path, depth + 1);
    else
        free(path);
}

static void add_folder(struct scan_list *list, char *path, unsigned depth)
{
    size_t count;
    char **names = depth < DEPTH_MAX ? folder_names(path, &count) : NULL;

    if (!names) {
        add(list, path, depth < DEPTH_MAX ? errno : ENAMETOOLONG);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        add_below(list, joined(path, names[i]), depth);
        free(names[i]);
    }
    free(names);
    free(path);
}

void scan_list_add(struct scan_list *list, const char *path)
{
    struct stat status;

    if (strcmp(path, "-") != 0 && stat(path, &status) < 0)
        add(list, command_copy(path), errno);
    else if (strcmp(path, "-") != 0 && S_ISDIR(status.st_mode))
        add_folder(list, command_copy(path), 0);
    else
        add(list, command_copy(path), 0);
}

bool scan_list_add_from(struct scan_list *list, const char *file)
{
    bool piped = strcmp(file, "-") == 0;
    FILE *in = piped ? stdin : fopen(file, "re");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    if (!in)
        return false;
    while ((length = getline(&line, &size, in)) > 0) {
        if (line[length - 1] == '\n')
            line[--length] = '\0';
        /* find -print0 writes no newlines: then all names are in one "line". */
        for (ssize_t at = 0; at < length; at += (ssize_t)strlen(line + at) + 1)
            if (line[at] != '\0')
                scan_list_add(list, line + at);
    }
    bool good = !ferror(in);
    int error = errno;
    free(line);
    if (!piped)
        fclose(in);
    errno = error;
    return good;
}

void scan_list_free(struct scan_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].path);
        free(list->items[i].error);
    }
    free(list->items);
    *list = (struct scan_list){0};
}
