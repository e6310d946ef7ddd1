/* Globs, matched without recursion and without exponential cases.
 *
 * Only the last `*` and the last `**` need to be remembered: once a later star is reached, the shortest way there is as
 * good as any. That holds although `*` stops at separators, because all text between two `*` of one component lies in
 * that component. So matching costs at most text x pattern. */
#include "policy.h"

#include <string.h>

struct matcher {
    char separator;
    const char *star, *star_text;           /* pattern after the last `*`, and where in the text it is tried next */
    const char *globstar, *globstar_text;   /* the same for the last `**` */
    bool globstar_components;               /* that was a `**` + separator: it stands for whole components, or none */
};

/* A name's module and its attributes are parted by ':' where the attribute is dotted; a `*` crosses neither. */
static bool is_separator(const struct matcher *matcher, char byte)
{
    return byte == matcher->separator || (byte == ':' && matcher->separator == '.');
}

/* Matches `byte` with the bracket expression at `pattern` (which is at '['). Returns what follows it, or NULL when it
 * is not closed, and then '[' is an ordinary character. */
static const char *match_bracket(const char *pattern, char byte, bool *matched)
{
    const char *at = pattern + 1;
    bool negated = *at == '!' || *at == '^';
    bool found = false;
    if (negated)
        at++;
    for (bool first = true; *at != ']' || first; first = false) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        if (*at == '\0')
            return NULL;
        unsigned char low = (unsigned char)*at++, high = low;
        if (*at == '-' && at[1] != ']' && at[1] != '\0') {
            at++;
            if (*at == '\\' && at[1] != '\0')
                at++;
            high = (unsigned char)*at++;
        }
        if ((unsigned char)byte >= low && (unsigned char)byte <= high)
            found = true;
    }
    *matched = found != negated;
    return at + 1;
}

/* Matches one ordinary pattern element with the byte at `text`. Returns the rest of the pattern, or NULL. */
static const char *match_one(const struct matcher *matcher, const char *pattern, char byte)
{
    if (*pattern == '?')
        return is_separator(matcher, byte) ? NULL : pattern + 1;
    if (*pattern == '[') {
        bool matched = false;
        const char *rest = match_bracket(pattern, byte, &matched);
        if (rest != NULL)
            return matched && !is_separator(matcher, byte) ? rest : NULL;
    }
    /* "os.**" is meant to hold all that is in os, attributes of its attributes too. */
    if (byte == ':' && matcher->separator == '.' && strncmp(pattern, ".**", 3) == 0)
        return pattern + 1;
    if (*pattern == '\\' && pattern[1] != '\0')
        pattern++;
    return *pattern == byte ? pattern + 1 : NULL;
}

/* Remembers the star at `pattern`, whose text begins at `text`. Returns the pattern after it. */
static const char *take_star(struct matcher *matcher, const char *whole, const char *pattern, const char *text)
{
    if (pattern[1] != '*') {
        matcher->star = pattern + 1;
        matcher->star_text = text;
        return pattern + 1;
    }
    bool begins = pattern == whole || is_separator(matcher, pattern[-1]);
    while (*pattern == '*')
        pattern++;
    matcher->globstar_components = begins && *pattern != '\0' && *pattern == matcher->separator;
    if (matcher->globstar_components)
        pattern++;
    matcher->globstar = pattern;
    matcher->globstar_text = text;
    matcher->star = NULL;
    return pattern;
}

/* Does only the byte that it shows match the start of `pattern`? */
static bool is_literal(const char *pattern)
{
    return strchr("*?[\\.", *pattern) == NULL || (*pattern == '.' && strncmp(pattern, ".**", 3) != 0);
}

/* Goes back to the last star and lets it take more. Returns where the pattern goes on, or NULL when no star can. */
static const char *retry(struct matcher *matcher, const char **text)
{
    if (matcher->star != NULL) {
        if (*matcher->star_text != '\0' && !is_separator(matcher, *matcher->star_text)) {
            *text = ++matcher->star_text;
            return matcher->star;
        }
        matcher->star = NULL;
    }
    if (matcher->globstar == NULL)
        return NULL;
    const char *at = matcher->globstar_text;
    if (matcher->globstar_components) {
        while (*at != '\0' && !is_separator(matcher, *at))
            at++;
    }
    if (*at == '\0')
        return NULL;
    at++;
    /* Most patterns that begin with ** fail on most names here, without a look at each byte. */
    if (!matcher->globstar_components && is_literal(matcher->globstar)) {
        at = strchr(at, *matcher->globstar);
        if (at == NULL)
            return NULL;
    }
    *text = matcher->globstar_text = at;
    return matcher->globstar;
}

bool policy_glob(const char *pattern, const char *text, char separator)
{
    struct matcher matcher = {.separator = separator};
    const char *at = pattern;
    for (;;) {
        if (at != NULL && *at == '*') {
            at = take_star(&matcher, pattern, at, text);
            continue;
        }
        if (at != NULL && *text == '\0' && *at == '\0')
            return true;
        if (at != NULL && *text != '\0' && *at != '\0') {
            at = match_one(&matcher, at, *text);
            if (at != NULL) {
                text++;
                continue;
            }
        }
        at = retry(&matcher, &text);
        if (at == NULL)
            return false;
    }
}
