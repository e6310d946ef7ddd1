/* guard scan: judges files at rest. */
#define _GNU_SOURCE
#include "command.h"
#include "scan_progress.h"
#include "scan_sarif.h"
#include "scan_workers.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Beyond this, processes wait for the disk and not for each other. */
#define JOBS_MAX 64u

static const char help[] =
    "Usage: guard scan [OPTION...] PATH...\n"
    "\n"
    "Judges models, pickles and model configs at rest; starts and changes nothing. Folders are read recursively;\n"
    "\"-\" is standard input. A model that cannot be inspected is denied; a file that is no model is allowed.\n"
    "\n"
    "  --format FORMAT      text: lines for people (default); json: one object a line and file; sarif: a SARIF\n"
    "                       2.1.0 log\n"
    "  --policy FILE        a policy that extends the built-in one\n"
    "  --files-from FILE    read further paths from FILE, one a line (\"-\": standard input)\n"
    "  --jobs N             judge N files at a time (default: one for each processor)\n"
    "  --strict             warnings count as denials\n"
    "  -h, --help           show this\n"
    "\n"
    "Exit status: 0 none denied, 1 at least one denied, 2 at least one could not be read, or wrong usage.\n";

struct totals {
    const struct scan_options *options;
    size_t verdicts[VERDICT_ERROR + 1];
    size_t models;
    size_t done, all; /* files */
    struct scan_progress progress;
    struct scan_sarif sarif;
};

static void file_done(void *context, struct scan_outcome outcome, const char *text, size_t length)
{
    struct totals *totals = context;

    totals->verdicts[outcome.verdict]++;
    totals->models += outcome.model;
    totals->done++;
    if (length > 0) {
        scan_progress_clear(&totals->progress);
        if (totals->options->format == SCAN_FORMAT_SARIF)
            scan_sarif_take(&totals->sarif, text, length);
        else
            fwrite(text, 1, length, stdout);
        fflush(stdout);
    }
    scan_progress_step(&totals->progress, totals->done, totals->all, totals->verdicts[VERDICT_DENY]);
}

static void print_summary(const struct totals *totals, const struct scan_list *list)
{
    printf("%zu file%s, %zu of them models or pickles: %zu denied, %zu warned of", list->count,
           list->count == 1 ? "" : "s", totals->models, totals->verdicts[VERDICT_DENY], totals->verdicts[VERDICT_WARN]);
    if (totals->verdicts[VERDICT_ERROR] > 0)
        printf(", %zu could not be judged", totals->verdicts[VERDICT_ERROR]);
    if (list->dangling > 0)
        printf(" (%zu link%s to nothing left out)", list->dangling, list->dangling == 1 ? "" : "s");
    putchar('\n');
}

static unsigned processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* A decimal number from 1 to `most`, or 0. */
static unsigned number_read(const char *text, unsigned most)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    return *end == '\0' && errno == 0 && number <= most ? (unsigned)number : 0;
}

static bool format_read(const char *text, enum scan_format *format)
{
    static const char *const names[] = {"text", "json", "sarif"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *format = (enum scan_format)i;
            return true;
        }
    }
    return false;
}

struct request {
    struct scan_options options;
    const char *files_from;
    unsigned jobs;
    bool strict;
};

/* Reads the options; -1 to go on, else the exit status. */
static int options_read(struct request *request, int argc, char **argv)
{
    enum { OPTION_FORMAT = 256, OPTION_POLICY, OPTION_FILES_FROM, OPTION_JOBS, OPTION_STRICT };
    static const struct option options[] = {
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"policy", required_argument, NULL, OPTION_POLICY},
        {"files-from", required_argument, NULL, OPTION_FILES_FROM},
        {"jobs", required_argument, NULL, OPTION_JOBS},
        {"strict", no_argument, NULL, OPTION_STRICT},
        {"help", no_argument, NULL, 'h'},
        {0},
    };

    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_FORMAT:
            if (!format_read(optarg, &request->options.format))
                return command_usage(EXIT_USAGE, "scan", "the formats are text, json and sarif, not \"%s\"", optarg);
            break;
        case OPTION_POLICY:
            request->options.policy_file = optarg;
            break;
        case OPTION_FILES_FROM:
            request->files_from = optarg;
            break;
        case OPTION_JOBS:
            request->jobs = number_read(optarg, JOBS_MAX);
            if (request->jobs == 0)
                return command_usage(EXIT_USAGE, "scan", "--jobs takes a number from 1 to %u, not \"%s\"", JOBS_MAX,
                                     optarg);
            break;
        case OPTION_STRICT:
            request->strict = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case ':':
            return command_usage(EXIT_USAGE, "scan", "%s needs a value", argv[optind - 1]);
        default:
            return command_usage(EXIT_USAGE, "scan", "there is no option %s", argv[optind - 1]);
        }
    }
    if (optind == argc && !request->files_from)
        return command_usage(EXIT_USAGE, "scan", "nothing to scan was named");
    return -1;
}

int command_scan(int argc, char **argv)
{
    struct request request = {.options.colour = command_colour(stdout)};
    struct totals totals = {.options = &request.options};
    struct scan_list list = {0};

    int status = options_read(&request, argc, argv);
    if (status >= 0)
        return status;
    struct policy *policy = command_load_policy("scan", request.options.policy_file);
    if (!policy)
        return EXIT_USAGE;
    request.options.policy = policy;
    for (int i = optind; i < argc; i++)
        scan_list_add(&list, argv[i]);
    if (request.files_from && !scan_list_add_from(&list, request.files_from))
        return command_error(EXIT_USAGE, "scan", "%s: %s", request.files_from, strerror(errno));

    unsigned jobs = request.jobs > 0 ? request.jobs : processors();
    if (jobs > JOBS_MAX)
        jobs = JOBS_MAX;
    if (jobs > list.count && list.count > 0)
        jobs = (unsigned)list.count;
    totals.all = list.count;
    scan_progress_start(&totals.progress);
    if (request.options.format == SCAN_FORMAT_SARIF)
        scan_sarif_open(&totals.sarif, stdout);
    scan_workers_run(&request.options, &list, jobs, file_done, &totals);
    scan_progress_clear(&totals.progress);
    if (request.options.format == SCAN_FORMAT_SARIF)
        scan_sarif_close(&totals.sarif);
    if (request.options.format == SCAN_FORMAT_TEXT)
        print_summary(&totals, &list);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    int error = errno;
    scan_list_free(&list);
    policy_free(policy);
    if (!written)
        return command_error(EXIT_USAGE, "scan", "standard output: %s", strerror(error));
    if (totals.verdicts[VERDICT_ERROR] > 0)
        return EXIT_USAGE;
    return totals.verdicts[VERDICT_DENY] > 0 || (request.strict && totals.verdicts[VERDICT_WARN] > 0) ? EXIT_DENIED : 0;
}
