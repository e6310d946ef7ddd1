/* What the environment and the policy files say; shared by the hooks and the command. */
#ifndef GUARD_SETTINGS_H
#define GUARD_SETTINGS_H

#include "../policy/lock.h"

#define SETTINGS_SITE_POLICY "/etc/guard/policy.json"
#define SETTINGS_POLICY_MAX (8u << 20) /* bytes of a policy file */
#define SETTINGS_LOCK_MAX (64u << 20)  /* bytes of a lock: 250,000 files */

/* Loads site policy (if there) and `user_file` (NULL: none) over the built-in one. Trusted means: a regular file owned
 * by root or the effective user, not writable by others; symbolic links are followed and the file itself counts. NULL
 * with a fault that names file, line and column, or what is wrong with the file. Takes memory by malloc. */
struct policy *settings_load_policy(const char *user_file, struct policy_fault *fault);

/* Loads a lock in the same manner and with the same trust. */
struct lock *settings_load_lock(const char *file, struct policy_fault *fault);

#endif
