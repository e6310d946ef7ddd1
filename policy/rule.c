/* One rule of a policy file, from JSON to struct rule, with a fault for whatever is not understood. */
#include "rules.h"
#include "text.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

typedef bool taker(const struct compiler *compiler, const cJSON *node, struct rule *rule);

static bool take_text(const struct compiler *compiler, const cJSON *node, const char **place)
{
    if (!cJSON_IsString(node) || node->valuestring[0] == '\0')
        return fault_at_value(compiler, node, "the value of", node->string, " is a string that is not empty");
    *place = node->valuestring;
    return true;
}

static bool take_flag(const struct compiler *compiler, const cJSON *node, bool *place)
{
    if (!cJSON_IsBool(node))
        return fault_at_value(compiler, node, "the value of", node->string, " is true or false");
    *place = cJSON_IsTrue(node) != 0;
    return true;
}

static bool fault_word(const struct compiler *compiler, const cJSON *node, const struct vocabulary *vocabulary,
                       const char *kind)
{
    char after[160], message[64];
    struct text text = text_into(after, sizeof after), start = text_into(message, sizeof message);
    const char *nearest = words_nearest(vocabulary, node->valuestring);
    text_add(&start, "unknown ");
    text_add(&start, kind);
    if (nearest != NULL) {
        text_add(&text, "; did you mean \"");
        text_add(&text, nearest);
        text_add(&text, "\"?");
    } else {
        text_add(&text, "; there are");
        for (unsigned number = 0; number < vocabulary->count; number++) {
            text_add(&text, number == 0 ? " " : ", ");
            text_add(&text, vocabulary->word(number));
        }
    }
    return fault_at_value(compiler, node, message, node->valuestring, after);
}

static bool take_word(const struct compiler *compiler, const cJSON *node, const struct vocabulary *vocabulary,
                      int *number)
{
    const char *text = NULL;
    if (!take_text(compiler, node, &text))
        return false;
    *number = words_find(vocabulary, text);
    return *number >= 0 || fault_word(compiler, node, vocabulary, node->string);
}

static bool take_mask(const struct compiler *compiler, const cJSON *node, const struct vocabulary *vocabulary,
                      uint16_t *mask)
{
    unsigned bits = 0;
    if (!check_strings(compiler, node))
        return false;
    for (const cJSON *item = list_first(node); item != NULL; item = list_next(node, item)) {
        int number = words_find(vocabulary, item->valuestring);
        if (number < 0)
            return fault_word(compiler, item, vocabulary, node->string);
        bits |= 1u << number;
    }
    if (bits == 0)
        return fault_at_value(compiler, node, "the list", node->string, " is empty, so the rule could never match");
    *mask = (uint16_t)bits;
    return true;
}

static bool take_globs(const struct compiler *compiler, const cJSON *node, const cJSON **place)
{
    if (!check_strings(compiler, node))
        return false;
    if (list_first(node) == NULL)
        return fault_at_value(compiler, node, "the list", node->string, " is empty, so the rule could never match");
    for (const cJSON *item = list_first(node); item != NULL; item = list_next(node, item)) {
        size_t length = strlen(item->valuestring);
        if (length == 0 || length > LIMIT_PATTERN)
            return fault_at_value(compiler, item, length == 0 ? "an empty pattern in" : "an overlong pattern in",
                                  node->string, NULL);
    }
    *place = node;
    return true;
}

static bool take_id(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_text(compiler, node, &rule->id);
}
static bool take_why(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_text(compiler, node, &rule->why);
}
static bool take_effect(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_mask(compiler, node, &words_effect, &rule->effects);
}
static bool take_when(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_mask(compiler, node, &words_moment, &rule->moments);
}
static bool take_origin(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_mask(compiler, node, &words_origin, &rule->origins);
}
static bool take_home(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_mask(compiler, node, &words_home, &rule->homes);
}
static bool take_object(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_mask(compiler, node, &words_object, &rule->objects);
}
static bool take_match(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_globs(compiler, node, &rule->match);
}
static bool take_format(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_globs(compiler, node, &rule->formats);
}
static bool take_process(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_text(compiler, node, &rule->process);
}
static bool take_attack(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_flag(compiler, node, &rule->attack);
}
static bool take_edge(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_flag(compiler, node, &rule->edge);
}
static bool take_unlisted(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_flag(compiler, node, &rule->unlisted);
}
static bool take_inert(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_flag(compiler, node, &rule->inert);
}

static bool take_path(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    if (!take_globs(compiler, node, &rule->paths))
        return false;
    for (const cJSON *item = list_first(node); item != NULL; item = list_next(node, item)) {
        if (item->valuestring[0] != '/' && strncmp(item->valuestring, "**", 2) != 0)
            return fault_at_value(compiler, item, "paths are absolute, so", item->valuestring,
                                  " could never match; begin with / or **");
    }
    return true;
}

/* Those of model ids (preload/model.h). */
static bool has_scheme(const char *model)
{
    static const char *const schemes[] = {"hf:", "file:", "torchhub:", "keras:", "kaggle:", "ms:", "mlflow:"};
    for (unsigned i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(model, schemes[i], strlen(schemes[i])) == 0)
            return true;
    }
    return false;
}

static bool take_model(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    if (!take_globs(compiler, node, &rule->models))
        return false;
    for (const cJSON *item = list_first(node); item != NULL; item = list_next(node, item)) {
        const char *model = item->valuestring;
        if (strncmp(model, "hf:", 3) == 0 && strchr(model, '@') != NULL)
            return fault_at_value(compiler, item, "a commit is not part of the model id", model,
                                  "; put it into \"revision\"");
        if (!has_scheme(model) && model[0] != '*')
            return fault_at_value(compiler, item, "the model id", model, " begins with neither hf: nor file:");
    }
    return true;
}

static bool take_revision(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    return take_text(compiler, node, &rule->revision);
}

static bool take_sha256(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    if (!take_text(compiler, node, &rule->sha256))
        return false;
    if (strlen(rule->sha256) != 64 || strspn(rule->sha256, "0123456789abcdef") != 64)
        return fault_at_value(compiler, node, "a SHA-256 is 64 lower-case hex digits", NULL, NULL);
    return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant's days_from_civil). */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    unsigned of_era = (unsigned)(year % 400);
    unsigned of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    return year / 400 * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool take_digits(const char **at, unsigned count, unsigned least, unsigned most, unsigned *number)
{
    *number = 0;
    for (; count > 0; count--, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *number = *number * 10 + (unsigned)(**at - '0');
    }
    return *number >= least && *number <= most;
}

/* "2027-01-31": through that day; "2027-01-31T12:00:00Z": until then. Both in UTC. */
static bool parse_date(const char *at, int64_t *end)
{
    unsigned year, month, day, hour, minute, second;
    if (!take_digits(&at, 4, 1970, 9999, &year) || *at++ != '-' || !take_digits(&at, 2, 1, 12, &month) ||
        *at++ != '-' || !take_digits(&at, 2, 1, 31, &day))
        return false;
    *end = days_from_date(year, month, day) * 86400;
    if (*at == '\0') {
        *end += 86400;
        return true;
    }
    if (*at++ != 'T' || !take_digits(&at, 2, 0, 23, &hour) || *at++ != ':' || !take_digits(&at, 2, 0, 59, &minute) ||
        *at++ != ':' || !take_digits(&at, 2, 0, 60, &second) || strcmp(at, "Z") != 0)
        return false;
    *end += hour * 3600 + minute * 60 + second;
    return true;
}

static bool take_expires(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    const char *date = NULL;
    if (!take_text(compiler, node, &date))
        return false;
    if (!parse_date(date, &rule->expires))
        return fault_at_value(compiler, node, "no date is", date, "; write 2027-01-31 or 2027-01-31T12:00:00Z (UTC)");
    return true;
}

static const char *argument_word(unsigned number)
{
    static const char *const words[] = {"@known",  "@unknown", "@none", "@bool",   "@number",
                                        "@string", "@bytes",   "@name", "@object", "@sequence"};
    return words[number];
}
static const struct vocabulary argument_words = {argument_word, 10};

/* A pattern that begins with '@' speaks of the kind of the argument, not of its text. */
static bool check_argument(const struct compiler *compiler, const cJSON *pattern)
{
    if (!cJSON_IsString(pattern))
        return fault_at_value(compiler, pattern, "an argument pattern is a string, null (absent) or a list of strings",
                              NULL, NULL);
    if (pattern->valuestring[0] != '@' || words_find(&argument_words, pattern->valuestring) >= 0)
        return true;
    return fault_word(compiler, pattern, &argument_words, "kind of argument");
}

static bool take_args(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    if (!cJSON_IsArray(node))
        return fault_at_value(compiler, node, "the value of", node->string, " is a list, one member for each argument");
    if (cJSON_GetArraySize(node) > (int)LIMIT_RULE_ARGUMENTS)
        return fault_at_value(compiler, node, "the list", node->string, " speaks of more arguments than are reported");
    for (const cJSON *item = node->child; item != NULL; item = item->next) {
        if (cJSON_IsNull(item))
            continue;
        for (const cJSON *choice = list_first(item); choice != NULL; choice = list_next(item, choice)) {
            if (!check_argument(compiler, choice))
                return false;
        }
        if (list_first(item) == NULL)
            return fault_at_value(compiler, item, "an empty list of choices fits no argument", NULL, NULL);
    }
    rule->args = node;
    return true;
}

static bool take_holds(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    if (!cJSON_IsObject(node))
        return fault_at_value(compiler, node, "the value of", node->string,
                              " is an object: {\"0\": [names that may stand at the first argument], \"*\": [at any]}");
    for (const cJSON *place = node->child; place != NULL; place = place->next) {
        size_t digits = strspn(place->string, "0123456789");
        if (strcmp(place->string, "*") != 0 && (digits == 0 || digits > 4 || place->string[digits] != '\0'))
            return fault_at_key(compiler, place, "no argument position is", place->string, "; write 0, 1, ... or *");
        const cJSON *ignored = NULL;
        if (!take_globs(compiler, place, &ignored))
            return false;
    }
    rule->holds = node;
    return true;
}

static bool take_then(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    int number = 0;
    bool fine = take_word(compiler, node, &words_decision, &number);
    rule->then = (enum decision)number;
    return fine;
}

static bool take_otherwise(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    int number = 0;
    bool fine = take_word(compiler, node, &words_decision, &number);
    rule->otherwise = (enum decision)number;
    rule->has_otherwise = true;
    return fine;
}

static bool take_severity(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    int number = 0;
    if (!take_word(compiler, node, &words_severity, &number))
        return false;
    rule->severity = words_severity.word((unsigned)number);
    return true;
}

static const struct {
    const char *name;
    taker *take;
} keys[] = {
    {"id", take_id},           {"effect", take_effect},   {"match", take_match},       {"args", take_args},
    {"holds", take_holds},     {"when", take_when},       {"origin", take_origin},     {"home", take_home},
    {"object", take_object},   {"format", take_format},   {"path", take_path},         {"model", take_model},
    {"revision", take_revision}, {"sha256", take_sha256}, {"process", take_process},   {"expires", take_expires},
    {"then", take_then},       {"otherwise", take_otherwise}, {"severity", take_severity}, {"why", take_why},
    {"attack", take_attack},   {"edge", take_edge},       {"unlisted", take_unlisted},
    {"inert", take_inert},
};
#define KEYS (sizeof keys / sizeof keys[0])

static const char *key_word(unsigned number)
{
    return keys[number].name;
}
static const struct vocabulary key_words = {key_word, KEYS};

static bool take_key(const struct compiler *compiler, const cJSON *member, struct rule *rule)
{
    int number = words_find(&key_words, member->string);
    if (number >= 0)
        return keys[number].take(compiler, member, rule);
    char after[64];
    struct text text = text_into(after, sizeof after);
    const char *nearest = words_nearest(&key_words, member->string);
    if (nearest != NULL) {
        text_add(&text, "; did you mean \"");
        text_add(&text, nearest);
        text_add(&text, "\"?");
    }
    return fault_at_key(compiler, member, "unknown key", member->string, after);
}

/* What each key may say alone can still make no sense together. */
static bool check_sense(const struct compiler *compiler, const cJSON *node, const struct rule *rule)
{
    const char *senseless = NULL;
    if (cJSON_GetObjectItemCaseSensitive(node, "then") == NULL)
        return fault_at_value(compiler, node, "the rule has no \"then\": allow, warn or deny", NULL, NULL);
    if (rule->effects == 0)
        return fault_at_value(compiler, node, "the rule has no \"effect\"", NULL, NULL);
    if ((rule->args != NULL || rule->holds != NULL) && (rule->effects & ~EFFECTS_CALLABLE) != 0)
        senseless = "\"args\" and \"holds\" are for the effects import, create and call";
    else if (rule->has_otherwise && ((rule->effects & ~EFFECTS_CALLABLE) != 0 || rule->match == NULL))
        senseless = "\"otherwise\" needs \"match\", and is for the effects import, create and call";
    else if (rule->unlisted && rule->match != NULL)
        senseless = "an \"unlisted\" rule is for the names that no rule matches, so it has no \"match\"";
    return senseless == NULL || fault_at_value(compiler, node, senseless, NULL, NULL);
}

/* Whoever lets a name be called or created lets it appear: a load is judged by each of these, and a permission that
 * leaves the others denied would permit nothing. The built-in rules say each effect for themselves. */
static void add_implied(struct rule *rule)
{
    unsigned call = 1u << EFFECT_CALL, create = 1u << EFFECT_CREATE, import = 1u << EFFECT_IMPORT;
    if (rule->tier == TIER_BUILT_IN || rule->then != DECISION_ALLOW || rule->has_otherwise)
        return;
    if ((rule->effects & call) != 0 && rule->args != NULL && rule->match != NULL) {
        rule->has_otherwise = true; /* the arguments are for the call alone */
        rule->otherwise = DECISION_ALLOW;
    } else if ((rule->effects & call) != 0) {
        rule->effects |= (uint16_t)(create | import);
    } else if ((rule->effects & create) != 0) {
        rule->effects |= (uint16_t)import;
    }
}

bool rule_compile(const struct compiler *compiler, const cJSON *node, struct rule *rule)
{
    *rule = (struct rule){.origins = UINT16_MAX, .moments = UINT16_MAX, .homes = UINT16_MAX, .objects = UINT16_MAX};
    rule->tier = compiler->tier;
    if (!cJSON_IsObject(node))
        return fault_at_value(compiler, node, "a rule is an object", NULL, ": {\"effect\": ..., \"then\": ...}");
    for (const cJSON *member = node->child; member != NULL; member = member->next) {
        if (!take_key(compiler, member, rule))
            return false;
    }
    if (rule->severity == NULL)
        rule->severity = rule->then == DECISION_ALLOW ? "info" : rule->then == DECISION_WARN ? "low" : "high";
    if (rule->why == NULL)
        rule->why = rule->tier == TIER_SITE ? "the site's policy says so" : "the policy says so";
    if (!check_sense(compiler, node, rule))
        return false;
    add_implied(rule);
    return true;
}
