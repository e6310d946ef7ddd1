/* TAP for unit tests: "ok N - name", "not ok N - name", "1..N" at the end; the exit status tells as well. */
#ifndef GUARD_TESTS_UNIT_H
#define GUARD_TESTS_UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned unit_count, unit_failed;

/* One test. The name is a printf format. Returns `passed`, so that more can be said about a failure. */
__attribute__((format(printf, 2, 3), unused)) static bool unit_ok(bool passed, const char *name, ...)
{
    va_list arguments;
    va_start(arguments, name);
    printf("%s %u - ", passed ? "ok" : "not ok", ++unit_count);
    vprintf(name, arguments);
    putchar('\n');
    va_end(arguments);
    unit_failed += !passed;
    return passed;
}

/* What main returns. */
__attribute__((unused)) static int unit_done(void)
{
    printf("1..%u\n", unit_count);
    return unit_failed > 0;
}

#endif
