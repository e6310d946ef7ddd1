/* The words that policies and records use, and how to find and to correct one. */
#ifndef GUARD_POLICY_WORDS_H
#define GUARD_POLICY_WORDS_H

#include "policy.h"

/* word(0) .. word(count - 1) are static strings. */
struct vocabulary {
    const char *(*word)(unsigned number);
    unsigned count;
};

extern const struct vocabulary words_effect, words_decision, words_mode, words_moment, words_origin, words_home,
    words_object, words_severity;

/* The number of `word`, or -1. */
int words_find(const struct vocabulary *vocabulary, const char *word);

/* The word that `wrong` was probably meant to be, or NULL when none is near. */
const char *words_nearest(const struct vocabulary *vocabulary, const char *wrong);

#endif
