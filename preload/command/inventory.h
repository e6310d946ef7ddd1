/* The models and files that logs tell of, for `guard lock`. */
#ifndef GUARD_INVENTORY_H
#define GUARD_INVENTORY_H

#include "../digest.h"
#include "log_read.h"
#include "name_table.h"

struct inventory_file {
    char *inside, *path;      /* path NULL: only the old lock knows it */
    char sha256[DIGEST_HEX];  /* empty: not known yet */
    bool gone;                /* the old lock has it, and the model no longer */
};
struct inventory_model {
    char *id, *revision; /* revision NULL: none */
    char *key;           /* the id by which a lock knows it; NULL: the same */
    char *folder;        /* where it lay; NULL: only the old lock knows it */
    struct inventory_file *files;
    size_t count, room;
};
struct inventory_edge {
    char *from, *to; /* ids */
    /* Does a file name `to` with a commit? Without, once, counts. */
    enum inventory_pin { PIN_UNSAID, PIN_COMMIT, PIN_NONE } pin;
};
struct inventory {
    const char *const *globs; /* the scope; none: all models */
    size_t glob_count;
    struct inventory_model *models;
    size_t count, room;
    struct inventory_edge *edges; /* each once */
    size_t edge_count, edge_room;
    struct name_table numbers; /* of models, files and edges */
};

/* Takes in a line: a load that went well or would have, a model's Python that ran, a file that was scanned, an edge.
 * What the lock itself denied counts as well: whoever asks for a lock of such a log wants it. A log_read() callback. */
void inventory_take(void *context, const struct log_line *line);

/* The number of a model, which is made if it is not there. `revision` NULL or empty: none. */
size_t inventory_model(struct inventory *inventory, const char *id, const char *revision);

/* The file `inside` a model, made if it is not there. Until the next call. */
struct inventory_file *inventory_file(struct inventory *inventory, size_t model, const char *inside);

/* The edge from one model to another, by their ids; made if it is not there. Until the next call. */
struct inventory_edge *inventory_edge(struct inventory *inventory, const char *from, const char *to);

/* Files that tokenizers read in local folders: nothing is judged in them, so no record tells of them. */
void inventory_add_vocabularies(struct inventory *inventory);

/* Gives local models ("file:/srv/models/base") the shortest end of their folder that tells them apart from others with
 * other content ("file:base"), so that the lock holds wherever they lie; models of one name and content become one. */
void inventory_shorten(struct inventory *inventory);

void inventory_free(struct inventory *inventory);

#endif
