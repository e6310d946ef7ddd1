/* The report as one page that needs nothing else: report.html with the data in its place. */
#include "report.h"

#include <string.h>

extern const char report_page[] __attribute__((visibility("hidden")));

void report_html(const struct report *report, FILE *out)
{
    static const char place[] = "@DATA@";
    const char *at = strstr(report_page, place);

    fwrite(report_page, 1, (size_t)(at - report_page), out);
    report_json(report, out);
    fputs(at + strlen(place), out);
}
