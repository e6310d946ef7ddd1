#include "words.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const decisions[] = {"allow", "warn", "deny"};
static const char *const modes[] = {"enforce", "audit", "off"};
static const char *const moments[] = {"rest", "load", "live"};
static const char *const origins[] = {"unknown",  "app",        "library", "unpickler", "torchscript", "lambda",
                                      "template", "model-code", "import",  "ipc",       "cache",       "graph"};
static const char *const homes[] = {"unknown", "app", "stdlib", "installed", "model", "temporary"};
static const char *const objects[] = {"unknown", "value-class", "class", "finalizer", "function", "module", "other"};
static const char *const severities[] = {"info", "low", "medium", "high", "critical"};

_Static_assert(COUNT(origins) == ORIGINS, "a word for each origin");
_Static_assert(COUNT(homes) == HOMES, "a word for each home");
_Static_assert(COUNT(objects) == OBJECTS, "a word for each kind of object");

static const char *word_of(const char *const *words, size_t count, unsigned number)
{
    return number < count ? words[number] : words[0];
}

static const char *effect_word(unsigned number)
{
    return effect_kind_name((enum effect_kind)number);
}
static const char *decision_word(unsigned number)
{
    return word_of(decisions, COUNT(decisions), number);
}
static const char *mode_word(unsigned number)
{
    return word_of(modes, COUNT(modes), number);
}
static const char *moment_word(unsigned number)
{
    return word_of(moments, COUNT(moments), number);
}
static const char *origin_word(unsigned number)
{
    return word_of(origins, COUNT(origins), number);
}
static const char *home_word(unsigned number)
{
    return word_of(homes, COUNT(homes), number);
}
static const char *object_word(unsigned number)
{
    return word_of(objects, COUNT(objects), number);
}
static const char *severity_word(unsigned number)
{
    return word_of(severities, COUNT(severities), number);
}

const struct vocabulary words_effect = {effect_word, EFFECT_KINDS};
const struct vocabulary words_decision = {decision_word, COUNT(decisions)};
const struct vocabulary words_mode = {mode_word, COUNT(modes)};
const struct vocabulary words_moment = {moment_word, COUNT(moments)};
const struct vocabulary words_origin = {origin_word, ORIGINS};
const struct vocabulary words_home = {home_word, HOMES};
const struct vocabulary words_object = {object_word, OBJECTS};
const struct vocabulary words_severity = {severity_word, COUNT(severities)};

const char *decision_name(enum decision decision)
{
    return decision_word(decision);
}
const char *origin_name(enum origin origin)
{
    return origin_word(origin);
}
const char *home_name(enum home home)
{
    return home_word(home);
}
const char *object_name(enum object object)
{
    return object_word(object);
}

int words_find(const struct vocabulary *vocabulary, const char *word)
{
    for (unsigned number = 0; number < vocabulary->count; number++) {
        if (strcmp(vocabulary->word(number), word) == 0)
            return (int)number;
    }
    return -1;
}

/* Longer words than any of ours need no correction. */
#define WORD_MAX 24

/* Levenshtein distance of two words, or WORD_MAX when one is longer than WORD_MAX. */
static size_t distance(const char *left, const char *right)
{
    size_t left_length = strlen(left), right_length = strlen(right);
    size_t row[WORD_MAX + 1];
    if (left_length > WORD_MAX || right_length > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= right_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= left_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= right_length; j++) {
            size_t best = diagonal + (left[i - 1] != right[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[right_length];
}

const char *words_nearest(const struct vocabulary *vocabulary, const char *wrong)
{
    const char *nearest = NULL;
    size_t least = 3; /* one slip, or two letters exchanged */
    for (unsigned number = 0; number < vocabulary->count; number++) {
        const char *word = vocabulary->word(number);
        size_t far = distance(word, wrong);
        if (far < least && far < strlen(word)) {
            least = far;
            nearest = word;
        }
    }
    return nearest;
}
