#include "rules.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: good on short names, and the hash of the first component falls off on the way. */
#define HASH_START 2166136261u
static inline uint32_t hash_step(uint32_t hash, char byte) { return (hash ^ (unsigned char)byte) * 16777619u; }

static uint32_t hash_bytes(const char *bytes, size_t length)
{
    uint32_t hash = HASH_START;
    for (size_t at = 0; at < length; at++)
        hash = hash_step(hash, bytes[at]);
    return hash;
}

/* Most patterns are plain names: strpbrk sees that many bytes at a time. */
static bool has_wildcard(const char *pattern)
{
    for (pattern = strpbrk(pattern, "*?[\\"); pattern != NULL; pattern = strpbrk(pattern + 2, "*?[\\")) {
        if (*pattern != '\\' || pattern[1] == '\0')
            return *pattern != '\\';
    }
    return false;
}

static void unescape(char *pattern)
{
    char *to = strchr(pattern, '\\');
    if (to == NULL)
        return;
    for (const char *from = to; *from != '\0'; from++) {
        if (*from == '\\' && from[1] != '\0')
            from++;
        *to++ = *from;
    }
    *to = '\0';
}

/* Length of the literal first component of a glob over callable names, or 0. */
static size_t literal_head(const char *pattern)
{
    size_t length = strcspn(pattern, ".:*?[\\");
    return pattern[length] == '.' || pattern[length] == ':' ? length : 0;
}

static struct index_slot *find_slot(const struct rule_index *index, const char *key, size_t length, uint32_t hash)
{
    uint32_t at = hash & index->slot_mask;
    for (;; at = (at + 1) & index->slot_mask) {
        struct index_slot *slot = &index->slots[at];
        if (slot->key == NULL ||
            (slot->hash == hash && slot->length == length && memcmp(slot->key, key, length) == 0))
            return slot;
    }
}

static struct index_slot *take_slot(struct rule_index *index, const char *key, size_t length)
{
    uint32_t hash = hash_bytes(key, length);
    struct index_slot *slot = find_slot(index, key, length, hash);
    slot->key = key;
    slot->hash = hash;
    slot->length = (uint32_t)length;
    return slot;
}

static void append(struct rule_index *index, struct index_chain *chain, uint32_t rule, const char *pattern)
{
    uint32_t number = ++index->entry_count;
    index->entries[number - 1] = (struct index_entry){.rule = rule, .pattern = pattern};
    if (chain->last == 0)
        chain->first = number;
    else
        index->entries[chain->last - 1].next = number;
    chain->last = number;
}

static void add_pattern(struct rule_index *index, uint32_t number, const struct rule *rule, char *pattern)
{
    if (!has_wildcard(pattern)) {
        unescape(pattern);
        append(index, &take_slot(index, pattern, strlen(pattern))->exact, number, NULL);
        return;
    }
    unsigned effects = rule->effects;
    if (rule->has_otherwise)
        effects |= EFFECTS_CALLABLE;
    size_t head = literal_head(pattern);
    if (head > 0 && (effects & EFFECTS_CALLABLE) != 0) {
        append(index, &take_slot(index, pattern, head)->head, number, pattern);
        effects &= ~EFFECTS_CALLABLE;
    }
    for (unsigned kind = 0; kind < EFFECT_KINDS; kind++) {
        if ((effects >> kind & 1) != 0)
            append(index, &index->general[kind], number, pattern);
    }
}

/* Upper bounds, so that nothing has to grow: a pattern takes one slot at most, and one entry a kind at most. */
static bool reserve(struct rule_index *index, const struct rule *rules, uint32_t count)
{
    size_t patterns = 0, wild = 0;
    for (uint32_t number = 0; number < count; number++) {
        const cJSON *match = rules[number].match;
        wild += match == NULL;
        for (const cJSON *item = list_first(match); item != NULL; item = list_next(match, item)) {
            patterns++;
            wild += strpbrk(item->valuestring, "*?[") != NULL;
        }
    }
    if (patterns > LIMIT_PATTERNS)
        return false;
    size_t slots = 64;
    while (slots < patterns * 2)
        slots *= 2;
    index->slots = calloc(slots, sizeof *index->slots);
    index->slot_mask = (uint32_t)(slots - 1);
    index->entries = malloc((patterns + wild * EFFECT_KINDS + 1) * sizeof *index->entries);
    return index->slots != NULL && index->entries != NULL;
}

bool index_build(struct rule_index *index, const struct rule *rules, uint32_t count)
{
    if (!reserve(index, rules, count))
        return false;
    for (uint32_t number = 0; number < count; number++) {
        const struct rule *rule = &rules[number];
        if (rule->match == NULL) {
            for (unsigned kind = 0; kind < EFFECT_KINDS; kind++) {
                if ((rule->effects >> kind & 1) != 0)
                    append(index, &index->general[kind], number, NULL);
            }
            continue;
        }
        for (const cJSON *item = list_first(rule->match); item != NULL; item = list_next(rule->match, item))
            add_pattern(index, number, rule, item->valuestring);
    }
    return true;
}

void index_free(struct rule_index *index)
{
    free(index->slots);
    free(index->entries);
}

struct index_hits index_find(const struct rule_index *index, enum effect_kind kind, const char *name)
{
    uint32_t hash = HASH_START, head_hash = 0;
    size_t length = 0, head = 0;
    bool callable = effect_is_callable(kind);
    for (; name[length] != '\0'; length++) {
        if (head == 0 && callable && (name[length] == '.' || name[length] == ':')) {
            head = length;
            head_hash = hash;
        }
        hash = hash_step(hash, name[length]);
    }
    struct index_hits hits = {.general = index->general[kind].first};
    const struct index_slot *slot = find_slot(index, name, length, hash);
    if (slot->key != NULL)
        hits.exact = slot->exact.first;
    if (head > 0) {
        slot = find_slot(index, name, head, head_hash);
        if (slot->key != NULL)
            hits.head = slot->head.first;
    }
    return hits;
}

const struct index_entry *index_next(const struct rule_index *index, struct index_hits *hits)
{
    uint32_t *first = NULL;
    uint32_t *const chains[] = {&hits->exact, &hits->head, &hits->general};
    for (unsigned at = 0; at < 3; at++) {
        if (*chains[at] != 0 &&
            (first == NULL || index->entries[*chains[at] - 1].rule < index->entries[*first - 1].rule))
            first = chains[at];
    }
    if (first == NULL)
        return NULL;
    const struct index_entry *entry = &index->entries[*first - 1];
    *first = entry->next;
    return entry;
}
