/* Symbolic expressions of exported programs: arithmetic passes, whatever else Python's eval() would do is found. */
#include "../../analyzer/symbolic.h"
#include "unit.h"

#include <string.h>

static const char *found_in(const char *text, size_t step)
{
    struct symbolic_scan scan = {0};
    size_t length = strlen(text);
    const char *found = NULL;
    for (size_t at = 0; at < length && !found; at += step)
        found = symbolic_scan(&scan, text + at, step < length - at ? step : length - at);
    return found;
}

/* The same in one piece and byte by byte. */
static bool agrees(const char *text, bool wanted)
{
    return (found_in(text, strlen(text)) != NULL) == wanted && (found_in(text, 1) != NULL) == wanted;
}

int main(void)
{
    static const char *const arithmetic[] = {
        "s77",
        "2*s0 + 1",
        "Mul(Integer(2), Symbol('s6', positive=True, integer=True))",
        "FloorDiv(Symbol('u0', integer=True), Integer(-2))",
        "Max(1, Mod(s0, 3)) >= 2.5",
        "floor(sqrt(s0))",
        "Float('0.5', precision=53)",
        "(L['x'].size()[0] // 2) <= L['x'].size()[0]",
        "not (L['past key'][0].stride()[1] == 4)",
        "math.ceil (0.5*L['x'].size()[0]) != 3 and torch.sym_float(L['n']) < 1e5",
        "L[\"y\"].storage_offset() == 0",
        "IsNonOverlappingAndDenseIndicator(s0, 1) | (s1 & ~s2)",
        "",
    };
    static const char *const programs[] = {
        "__import__('os').system('id')", "open('x', 'w')", "eval ('1')", "exec(chr(97))", "s0.func('id')",
        "torch.os.system('id')", "torch.hub.load('a', 'b')", "math.x.y()", "(lambda: 0)()", "L['x'].__class__",
        "[print][0]('x')", "'%s'.format(1)", "getattr(s0, 'x')", "S('open(1)')", "x if x else breakpoint()",
        "a; b", "{1}", "a\nimport b", "\xef\xbd\x85val(1)", "'\\x5f'", "f'{x}'", "x := 1", "L['x'].size()()",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa(1)", "# x", "@a",
    };
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
        unit_ok(agrees(arithmetic[i], false), "arithmetic: %s", arithmetic[i]);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        unit_ok(agrees(programs[i], true), "a program, number %zu", i);
    return unit_done();
}
