#define _GNU_SOURCE
#include "switches.h"

#include "environment.h"
#include "guard.h"
#include "raw.h"
#include "record.h"
#include "settings.h"
#include "tally.h"

#include <string.h>
#include <unistd.h>

/* The new environment: its size is summed up first, then it is filled. */
struct turned {
    size_t count, bytes;
    char **array; /* NULL: still being summed up */
    char *text;
};

/* Does the assignment `entry` set `variable`? */
static bool sets(const char *entry, const char *variable)
{
    size_t length = strlen(variable);
    return strncmp(entry, variable, length) == 0 && entry[length] == '=';
}

static char *const *find(const char *variable)
{
    char *const *entry = environ;
    while (entry != NULL && *entry != NULL && !sets(*entry, variable))
        entry++;
    return entry != NULL && *entry != NULL ? entry : NULL;
}

static void turn(void *context, const struct policy_switch *found)
{
    struct turned *turned = context;
    if (found->value == NULL)
        return;
    turned->bytes += strlen(found->variable) + strlen(found->value) + 2;
    if (turned->array == NULL) {
        turned->count++;
        return;
    }
    size_t at = 0;
    while (at < turned->count && !sets(turned->array[at], found->variable))
        at++;
    turned->count += at == turned->count;
    turned->array[at] = turned->text;
    turned->text = stpcpy(stpcpy(stpcpy(turned->text, found->variable), "="), found->value) + 1;
}

static void report(void *context, const struct policy_switch *found)
{
    (void)context;
    if (found->value != NULL || find(found->variable) == NULL)
        return;
    record_failure(found->variable, found->why);
    tally_add(&tally.warned);
}

static void replace_environment(const struct policy *policy)
{
    struct turned turned = {0};
    size_t before = 0;
    while (environ != NULL && environ[before] != NULL)
        before++;
    policy_switches(policy, turn, &turned);
    if (turned.count == 0)
        return;
    size_t slots = before + turned.count + 1;
    char **array = raw_take(NULL, slots * sizeof *array + turned.bytes);
    if (array == NULL)
        return;
    memcpy(array, environ, before * sizeof *array);
    turned = (struct turned){.count = before, .array = array, .text = (char *)(array + slots)};
    policy_switches(policy, turn, &turned);
    __atomic_store_n(&environ, array, __ATOMIC_RELEASE);
}

/* Nothing is on in the built-in policy, so that without another one none has to be read. */
void switches_apply(void)
{
    struct stat site;
    if (!environment.policy[0] && !record_wanted() && raw_fstatat(AT_FDCWD, SETTINGS_SITE_POLICY, &site, 0) < 0)
        return;
    const struct policy *policy = guard_policy();
    if (policy == NULL || guard_mode() == MODE_OFF)
        return;
    policy_switches(policy, report, NULL);
    if (guard_mode() == MODE_ENFORCE)
        replace_environment(policy);
}
