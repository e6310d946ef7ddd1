/* guard report: what was loaded by whom. */
#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: guard report [OPTION...] LOG...\n"
    "\n"
    "Draws who led to what, from the records that programs under the guard left (GUARD_LOG): models and their files,\n"
    "decisions, who asked, and what to look at. Any number of logs, of any machines; \"-\" is standard input.\n"
    "\n"
    "  --format FORMAT   text (a tree), html (one page that needs nothing else), dot (for Graphviz) or json;\n"
    "                    by default what FILE ends with, else text\n"
    "  -o FILE           write to FILE\n"
    "  -h, --help        show this\n"
    "\n"
    "Exit status: 0, or 2 when a log could not be read, the report not be written, or the usage is wrong. Damaged\n"
    "lines are counted and left out.\n";

static const struct form {
    const char *name, *ending;
    void (*write)(const struct report *report, FILE *out);
} forms[] = {
    {"text", ".txt", report_text},
    {"html", ".html", report_html},
    {"dot", ".dot", report_dot},
    {"json", ".json", report_json},
};
#define FORMS (sizeof(forms) / sizeof(*forms))

static const struct form *form_find(const char *name)
{
    for (size_t i = 0; i < FORMS; i++)
        if (strcmp(name, forms[i].name) == 0)
            return &forms[i];
    return NULL;
}

static const struct form *form_of_file(const char *file)
{
    const char *dot = file ? strrchr(file, '.') : NULL;

    for (size_t i = 0; dot && i < FORMS; i++)
        if (strcmp(dot, forms[i].ending) == 0)
            return &forms[i];
    return &forms[0];
}

/* Reads the options; -1 to go on, else the exit status. */
static int options_read(int argc, char **argv, const struct form **form, const char **file)
{
    enum { OPTION_FORMAT = 256 };
    static const struct option options[] = {
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };

    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":ho:", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_FORMAT:
            *form = form_find(optarg);
            if (!*form)
                return command_usage(EXIT_USAGE, "report", "the formats are text, html, dot and json, not \"%s\"",
                                     optarg);
            break;
        case 'o':
            *file = strcmp(optarg, "-") == 0 ? NULL : optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case ':':
            return command_usage(EXIT_USAGE, "report", "%s needs a value", argv[optind - 1]);
        default:
            return command_usage(EXIT_USAGE, "report", "there is no option %s", argv[optind - 1]);
        }
    }
    if (optind == argc)
        return command_usage(EXIT_USAGE, "report", "no LOG was named");
    return -1;
}

/* Writes beside FILE and renames: a report is there whole or not at all, and FILE may be one of the
 * logs' neighbours. */
static int report_write(const struct report *report, const struct form *form, const char *file)
{
    char *part = NULL;
    FILE *out = stdout;

    if (file && (asprintf(&part, "%s.part", file) < 0 || !(out = fopen(part, "we"))))
        return command_error(EXIT_USAGE, "report", "%s: %s", file, strerror(errno));
    form->write(report, out);
    bool good = fflush(out) == 0 && !ferror(out);
    int error = errno;
    if (file && fclose(out) != 0 && good) {
        good = false;
        error = errno;
    }
    if (file && good && rename(part, file) < 0) {
        good = false;
        error = errno;
    }
    if (file && !good)
        unlink(part);
    free(part);
    return good ? 0 : command_error(EXIT_USAGE, "report", "%s: %s", file ? file : "standard output", strerror(error));
}

int command_report(int argc, char **argv)
{
    const struct form *form = NULL;
    const char *file = NULL;

    int status = options_read(argc, argv, &form, &file);
    if (status >= 0)
        return status;
    struct policy *policy = command_load_policy("report", NULL);
    if (!policy)
        return EXIT_USAGE;
    struct report *report = report_new(policy);
    report->log_count = (size_t)(argc - optind);
    bool read = log_read("report", argv + optind, (size_t)(argc - optind), report_take, report, &report->totals);
    if (report->totals.scans > 0)
        command_error(0, "report", "lines of guard scan are left out, as they tell of no run: %llu",
                      (unsigned long long)report->totals.scans);
    report_join(report);
    status = report_write(report, form ? form : form_of_file(file), file);
    report_free(report);
    policy_free(policy);
    return read ? status : EXIT_USAGE;
}
