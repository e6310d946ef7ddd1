/* What programs were denied, or would have been: the raw matter of `guard learn`. */
#ifndef GUARD_LEARN_WANTS_H
#define GUARD_LEARN_WANTS_H

#include "../../policy/policy.h"
#include "../digest.h"
#include "log_read.h"
#include "name_table.h"

/* One effect in one place: the narrowest that a rule can say. */
struct want {
    enum effect_kind effect;
    char *name;
    char *model, *revision; /* of a model that goes by its id; NULL: not */
    char *path;             /* of a file that goes by its path; NULL as well: no file is known */
    char sha256[DIGEST_HEX]; /* empty: does not matter, or cannot be had */
    char *file;             /* the file of the first record; NULL: none */
    char *asker;            /* "infer.py:12", or NULL */
    char *rule;             /* the rule that denied it, or NULL */
    enum origin origin;
    uint64_t count;         /* records */
};
struct wants {
    struct want *list;
    size_t count, room;
    size_t learnt;   /* of these, the first so many become rules */
    uint64_t guards; /* denials that are no rule's: drift, faults of the guard itself, files that kept changing */
    struct name_table numbers;
};

/* Takes in a line; a log_read() callback. */
void wants_take(void *context, const struct log_line *line);

/* Does its content matter, so that a rule without its SHA-256 would be wider than what was seen? */
bool want_needs_content(const struct want *want);

/* Puts rules for what is to be learnt, which it sorts, in front of those in the policy `text` (malloc'd, freed). The
 * new text, malloc'd; NULL with a fault. `rules`: how many. */
char *learn_rules(char *text, struct wants *wants, size_t *rules, struct policy_fault *fault);

void wants_free(struct wants *wants);

#endif
