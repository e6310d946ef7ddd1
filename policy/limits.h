/* Every cap of the policy package, each with its reason. Passing one is a fault with a position, never silence. */
#ifndef GUARD_POLICY_LIMITS_H
#define GUARD_POLICY_LIMITS_H

#include "../analyzer/limits.h"

/* Rules of all texts together. Indexes are 32 bits; a policy learnt from a year of runs has some thousands. */
#define LIMIT_RULES 100000u
/* Names and globs of all rules together; bounds the index at some 10 MB. */
#define LIMIT_PATTERNS 1000000u
/* A glob longer than any path is a mistake. */
#define LIMIT_PATTERN 4096
/* Positions an "args" list may speak of: one less than the analyzer reports, so that a call whose arguments were cut
 * can never be taken for one with fewer. */
#define LIMIT_RULE_ARGUMENTS (LIMIT_ARGUMENTS - 1)
/* The longest quiet that a policy may wait for: a day. A longer one is a mistake in the unit. */
#define LIMIT_QUIET_SECONDS 86400

#endif
