/* Inside the policy only: compiled rules and the index that finds them. */
#ifndef GUARD_POLICY_RULES_H
#define GUARD_POLICY_RULES_H

#include <cjson/cJSON.h>

#include "limits.h"
#include "policy.h"

/* Whose rule is it? In order of precedence. */
enum tier { TIER_USER, TIER_SITE, TIER_BUILT_IN };

/* Strings and lists point into the policy's JSON trees. Masks have a bit for each value of their enum. A list is an
 * array, or a single string that stands for an array of one; NULL: the rule does not ask. */
struct rule {
    const char *id, *why, *severity;
    const cJSON *match, *args, *formats, *paths, *models, *holds;
    const char *revision, *sha256, *process;
    int64_t expires; /* seconds since 1970 from which the rule no longer matches; 0: never */
    uint16_t effects, origins, moments, homes, objects;
    enum decision then;
    enum decision otherwise; /* for names that match when the callable effect is not among `effects` */
    bool has_otherwise;
    bool attack, edge, unlisted, inert;
    enum tier tier;
};

/* Effects whose names are those of Python callables, with '.' as separator; all others have paths, ids or tokens. */
#define EFFECTS_CALLABLE (1u << EFFECT_IMPORT | 1u << EFFECT_CREATE | 1u << EFFECT_CALL)
static inline bool effect_is_callable(enum effect_kind kind) { return (EFFECTS_CALLABLE >> kind & 1) != 0; }
static inline char effect_separator(enum effect_kind kind) { return effect_is_callable(kind) ? '.' : '/'; }

/* Rules in the order in which they are tried, found by the name of the effect.
 *
 * Three chains can decide a name, each in the rules' order: the patterns without a wildcard that equal it; the globs
 * whose first component is literal and equals the name's ("os.**"); and all other globs and the rules
 * without "match". */
struct index_entry {
    uint32_t rule;
    uint32_t next;       /* entry + 1, 0: the end */
    const char *pattern; /* still to be matched, or NULL */
};
struct index_chain { uint32_t first, last; /* entry + 1, 0: empty */ };
struct index_slot {
    const char *key; /* not NUL-terminated; NULL: free */
    uint32_t hash, length;
    struct index_chain exact, head;
};
struct rule_index {
    struct index_slot *slots;
    uint32_t slot_mask; /* slots - 1; slots is a power of two */
    struct index_entry *entries;
    uint32_t entry_count, entry_room;
    struct index_chain general[EFFECT_KINDS];
};

/* Builds the index of `count` rules. Patterns whose wildcards are all escaped are unescaped in place. False:
 * no memory. */
bool index_build(struct rule_index *index, const struct rule *rules, uint32_t count);
void index_free(struct rule_index *index);

/* Where the three chains for a name of `kind` begin. */
struct index_hits { uint32_t exact, head, general; };
struct index_hits index_find(const struct rule_index *index, enum effect_kind kind, const char *name);

/* The next entry in the rules' order, or NULL. */
const struct index_entry *index_next(const struct rule_index *index, struct index_hits *hits);

struct document {
    cJSON *root;
    enum tier tier;
};

struct policy {
    struct document *documents;
    size_t document_count;
    struct rule *rules;
    uint32_t rule_count;
    char *ids; /* of rules that give none: "policy.json#3" */
    struct rule_index index;
    enum policy_mode mode;
    bool locked, log_required, no_deepbind;
    unsigned quiet_seconds;
};

/* One text under compilation. */
struct compiler {
    const struct policy_text *text;
    const cJSON *root;
    enum tier tier;
    struct policy_fault *fault;
};

/* Fills the fault with `message`, a quoted `word` (NULL: none), `after` and the position of `node`; returns false. */
bool fault_at_value(const struct compiler *compiler, const cJSON *node, const char *message, const char *word,
                    const char *after);
bool fault_at_key(const struct compiler *compiler, const cJSON *node, const char *message, const char *word,
                  const char *after);

/* Parses the text, which must be one JSON object without repeated keys or NULs in strings. NULL with the fault; `shape`
 * is what it says of another JSON value. */
#define POLICY_SHAPE "a policy is a JSON object: {\"version\": 1, \"rules\": [...]}"
cJSON *document_parse(struct compiler *compiler, const char *shape);

/* Compiles one member of "rules". False with the fault. */
bool rule_compile(const struct compiler *compiler, const cJSON *node, struct rule *rule);

/* Is `node` a string, or an array of strings? False with a fault. */
bool check_strings(const struct compiler *compiler, const cJSON *node);

/* Checks the values of "limits" and "switches"; and, once all texts are parsed, that each switch which is turned is
 * known. False with a fault. */
bool check_limits(const struct compiler *compiler, const cJSON *node);
bool check_switches(const struct compiler *compiler, const cJSON *node);
bool check_switch_names(const struct policy *policy, const struct compiler *compilers, size_t count);

/* Calls for the next string of a list: `for (item = list_first(list); item != NULL; item = list_next(list, item))`. */
static inline const cJSON *list_first(const cJSON *list) { return cJSON_IsArray(list) ? list->child : list; }
static inline const cJSON *list_next(const cJSON *list, const cJSON *item)
{
    return cJSON_IsArray(list) ? item->next : NULL;
}

/* Text of the built-in policy (default.json), NUL-terminated, made by default_json.S. */
extern const char policy_default_json[], policy_default_json_end[];

#endif
