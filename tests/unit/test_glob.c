/* policy_glob: what crosses a separator and what does not, and that no pattern takes long. */
#include "../../policy/policy.h"
#include "unit.h"

#include <string.h>
#include <time.h>

static const struct {
    const char *pattern, *text;
    char separator;
    bool matches;
} rows[] = {
    {"", "", '.', true},
    {"", "a", '.', false},
    {"a", "a", '.', true},
    {"a", "ab", '.', false},
    {"*", "", '.', true},
    {"*", "abc", '.', true},
    {"*", "a.b", '.', false},
    {"*", "a:b", '.', false},
    {"*", "a:b", '/', true},
    {"**", "a.b:c.d", '.', true},
    {"os.*", "os.system", '.', true},
    {"os.*", "os.path.join", '.', false},
    {"os.*", "os", '.', false},
    {"os.**", "os.path.join", '.', true},
    {"os.**", "os:environ.update", '.', true},
    {"os.**", "os2.system", '.', false},
    {"os.**", "os", '.', false},
    {"numpy.core.*", "numpy:core.x", '.', false},
    {"numpy:core.*", "numpy:core.x", '.', true},
    {"*.system", "posix.system", '.', true},
    {"*.system", "a.posix.system", '.', false},
    {"**.system", "a.posix.system", '.', true},
    {"**.from_pretrained", "transformers:AutoModel.from_pretrained", '.', true},
    {"**:**.__*__**", "__builtin__:dict.fromkeys", '.', false},
    {"**:**.__*__**", "a.b:c.__init__.__globals__", '.', true},
    {"a?c", "abc", '.', true},
    {"a?c", "a.c", '.', false},
    {"[a-c]x", "bx", '.', true},
    {"[!a-c]x", "bx", '.', false},
    {"[^a-c]x", "dx", '.', true},
    {"[!a]x", ".x", '.', false},
    {"[]]", "]", '.', true},
    {"[a-]", "-", '.', true},
    {"[\\]]", "]", '.', true},
    {"[a", "[a", '.', true},
    {"[a", "a", '.', false},
    {"\\*", "*", '.', true},
    {"\\*", "a", '.', false},
    {"\\?", "?", '.', true},
    {"a\\", "a\\", '.', true},
    {"/m/*", "/m/a", '/', true},
    {"/m/*", "/m/a/b", '/', false},
    {"/m/**", "/m/a/b", '/', true},
    {"/m/**/x", "/m/x", '/', true},
    {"/m/**/x", "/m/a/b/x", '/', true},
    {"/m/**/x", "/m/ax", '/', false},
    {"**/x", "x", '/', true},
    {"**/x", "/a/x", '/', true},
    {"**/../**", "a/../b", '/', true},
    {"**/../**", "a/..b/c", '/', false},
    {"hf:org/*", "hf:org/name", '/', true},
    {"hf:org/*", "hf:org/name/x", '/', false},
    {"*a*b*c", "xaxbxbxc", '.', true},
    {"*a*b*c", "xaxbxb.c", '.', false},
    {"a*b**c*d", "axb.y.cxd", '.', true},
    {"a*b**c*d", "a.b.cd", '.', false},
    {"**b*c", "b.b.bxc", '.', true},
    {"*ab*", "aab", '.', true},
};

/* The classic that makes recursive matchers exponential. */
static void test_time(void)
{
    char pattern[256] = "", text[513];
    for (int i = 0; i < 60; i++)
        strcat(pattern, i % 2 ? "a*" : "a**");
    strcat(pattern, "b");
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    clock_t start = clock();
    bool matched = policy_glob(pattern, text, '.');
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    unit_ok(!matched && seconds < 0.1, "120 stars against 512 letters take no time");
}

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        unit_ok(policy_glob(rows[i].pattern, rows[i].text, rows[i].separator) == rows[i].matches,
                "\"%s\" %s \"%s\" by '%c'", rows[i].pattern, rows[i].matches ? "matches" : "does not match",
                rows[i].text, rows[i].separator);
    test_time();
    return unit_done();
}
