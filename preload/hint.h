/* How to allow what was denied: the command that writes one rule, and nothing wider. */
#ifndef GUARD_HINT_H
#define GUARD_HINT_H

#include "line.h"

struct hint {
    const char *policy;       /* the file to write to; NULL or empty: policy.json */
    const char *effect, *name;
    const char *model, *revision, *sha256; /* NULL or empty: not known */
};

/* Puts `guard policy add --to policy.json call 'mypkg.rebuild' --model 'hf:org/name@COMMIT'`. */
void hint_put(struct line *line, const struct hint *hint);

#endif
