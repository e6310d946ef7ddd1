/* guard lock: from records to a lock. */
#define _GNU_SOURCE
#include "lock_verb.h"

#include "../environment.h"
#include "../settings.h"
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: guard lock [OPTION...] LOG... -o FILE\n"
    "       guard lock [OPTION...] LOG... --update FILE\n"
    "\n"
    "Writes down which models a program loads, at which commit, with which files and hashes: a lock, to be checked by\n"
    "`guard run --lock FILE` or GUARD_LOCK=FILE. It is a CycloneDX 1.6 ML-BOM. LOG is what GUARD_LOG wrote, of any\n"
    "number of processes, or the output of `guard scan --format json`; \"-\" is standard input.\n"
    "\n"
    "  -o, --output FILE  where the lock goes (\"-\": standard output)\n"
    "  --update FILE      keeps what is still true of this lock, says what changed, and replaces it, unless -o names\n"
    "                     another\n"
    "  --models GLOB...   only these models are in the lock, and only they are held to it: hf:org/*,\n"
    "                     'file:**/models/*'. Leaves a run's own checkpoints and caches out. May be given several "
    "times; all by default\n"
    "  -h, --help         show this\n"
    "\n"
    "Exit status: 0 good, 1 a file is left out because it could not be hashed, 2 wrong usage, or a file could not be\n"
    "read or written.\n";

struct request {
    const char *output, *update;
    struct words globs, logs;
};

static bool is_glob(const char *word)
{
    return strchr(word, ':') && word[0] != '-' && access(word, F_OK) < 0;
}

/* Reads the options; -1 to go on, else the exit status. */
static int options_read(struct request *request, int argc, char **argv)
{
    enum { OPTION_UPDATE = 256, OPTION_MODELS };
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"update", required_argument, NULL, OPTION_UPDATE},
        {"models", required_argument, NULL, OPTION_MODELS},
        {"help", no_argument, NULL, 'h'},
        {0},
    };

    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "-:o:h", options, NULL)) != -1;) {
        switch (option) {
        case 1:
            words_add(&request->logs, optarg);
            break;
        case 'o':
            request->output = optarg;
            break;
        case OPTION_UPDATE:
            request->update = optarg;
            break;
        case OPTION_MODELS:
            words_add(&request->globs, optarg);
            /* --models A B: what is no file but reads like a model goes with the first. */
            while (optind < argc && is_glob(argv[optind]))
                words_add(&request->globs, argv[optind++]);
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case ':':
            return command_usage(EXIT_USAGE, "lock", "%s needs a value", argv[optind - 1]);
        default:
            return command_usage(EXIT_USAGE, "lock", "there is no option %s", argv[optind - 1]);
        }
    }
    while (optind < argc)
        words_add(&request->logs, argv[optind++]);
    if (request->logs.count == 0)
        return command_usage(EXIT_USAGE, "lock", "no LOG was named");
    if (!request->output)
        request->output = request->update;
    if (!request->output)
        return command_usage(EXIT_USAGE, "lock", "where to? -o FILE or --update FILE");
    return -1;
}

/* Writes the lock, unless the file is it already, and says what changed. */
static int write_lock(const struct request *request, const char *text, const struct lock *old)
{
    struct policy_fault fault;
    struct policy_text own = {.name = request->output, .text = text, .length = strlen(text)};
    struct lock *new = lock_load(&own, &fault);
    bool piped = strcmp(request->output, "-") == 0;
    FILE *out = piped ? stderr : stdout;
    size_t files = 0;

    if (!new) {
        command_print_fault("lock", &fault);
        return EXIT_USAGE;
    }
    if (!command_write_file(request->output, text)) {
        lock_free(new);
        return command_error(EXIT_USAGE, "lock", "%s: %s", request->output, strerror(errno));
    }
    if (!lock_print_changes(out, old, new) && old)
        fputs("nothing changed\n", out);
    for (size_t i = 0; i < lock_models(new); i++)
        files += lock_model(new, i)->file_count;
    command_print_visible(out, piped ? "the lock" : request->output);
    fprintf(out, ": %zu model%s, %zu file%s\n", lock_models(new), lock_models(new) == 1 ? "" : "s", files,
            files == 1 ? "" : "s");
    lock_free(new);
    return 0;
}

static int make_lock(const struct request *request, const struct policy *policy, const struct lock *old)
{
    struct inventory inventory = {.globs = request->globs.list, .glob_count = request->globs.count};
    struct log_totals totals;

    bool read = log_read("lock", (char *const *)(uintptr_t)request->logs.list, request->logs.count, inventory_take,
                         &inventory, &totals);
    inventory_add_vocabularies(&inventory);
    if (old)
        lock_keep(&inventory, old);
    size_t missing = lock_hash(&inventory, policy);
    inventory_shorten(&inventory);
    char *text = lock_print(&inventory);
    inventory_free(&inventory);
    int status = write_lock(request, text, old);
    cJSON_free(text);
    return status != 0 ? status : !read ? EXIT_USAGE : missing > 0 ? EXIT_DENIED : 0;
}

int command_lock(int argc, char **argv)
{
    struct request request = {0};
    struct policy_fault fault = {0};

    int status = options_read(&request, argc, argv);
    if (status >= 0)
        return status;
    environment_capture();
    struct policy *policy = command_load_policy("lock", NULL);
    if (!policy)
        return EXIT_USAGE;
    bool globs_given = request.globs.count > 0;
    int folder = strcmp(request.output, "-") == 0 ? -1 : command_lock_folder(request.output);
    struct lock *old = request.update ? settings_load_lock(request.update, &fault) : NULL;
    if (request.update && !old) {
        command_print_fault("lock", &fault);
        status = EXIT_USAGE;
    } else {
        /* Without globs of its own an update has those of the old lock. */
        for (size_t i = 0; old && !globs_given && i < lock_scopes(old); i++)
            words_add(&request.globs, lock_scope(old, i));
        status = make_lock(&request, policy, old);
    }
    if (folder >= 0)
        close(folder);
    lock_free(old);
    policy_free(policy);
    free(request.globs.list);
    free(request.logs.list);
    return status;
}
