/* guard learn: from what was denied to a policy that allows exactly that. */
#define _GNU_SOURCE
#include "learn_wants.h"
#include "policy_verbs.h"

#include "../environment.h"
#include "../file_hash.h"
#include "../settings.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: guard learn [OPTION...] LOG...\n"
    "\n"
    "Makes a policy that allows what LOG says was denied, or in audit would have been: each callable in the one\n"
    "model or file where it was seen, each with its reason. LOG is what GUARD_LOG wrote, of any number of processes,\n"
    "or the output of `guard scan --format json`, so that nothing need be run to learn; \"-\" is standard input. What\n"
    "is known to be an attack is refused. Calls are listed apart: read them before you use the policy.\n"
    "\n"
    "  -o, --output FILE  where the policy goes (default: standard output)\n"
    "  --into FILE        adds what is missing to this policy; what it allows already adds nothing\n"
    "  --accept NAME...   allow this name although it is known to be dangerous\n"
    "  -h, --help         show this\n"
    "\n"
    "Exit status: 0 good, 1 something was refused or cannot be allowed, 2 wrong usage, or a file could not be read or\n"
    "written.\n";

struct request {
    const char *output, *into;
    struct words accepted, logs;
};

/* Reads the options; -1 to go on, else the exit status. */
static int options_read(struct request *request, int argc, char **argv)
{
    enum { OPTION_INTO = 256, OPTION_ACCEPT };
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"into", required_argument, NULL, OPTION_INTO},
        {"accept", required_argument, NULL, OPTION_ACCEPT},
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
        case OPTION_INTO:
            request->into = optarg;
            break;
        case OPTION_ACCEPT:
            words_add(&request->accepted, optarg);
            /* --accept A B: what is no file goes with the first. */
            while (optind < argc && argv[optind][0] != '-' && access(argv[optind], F_OK) < 0)
                words_add(&request->accepted, argv[optind++]);
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case ':':
            return command_usage(EXIT_USAGE, "learn", "%s needs a value", argv[optind - 1]);
        default:
            return command_usage(EXIT_USAGE, "learn", "there is no option %s", argv[optind - 1]);
        }
    }
    while (optind < argc)
        words_add(&request->logs, argv[optind++]);
    if (request->logs.count == 0)
        return command_usage(EXIT_USAGE, "learn", "no LOG was named");
    if (!request->output)
        request->output = request->into ? request->into : "-";
    return -1;
}

static bool known_sha256(void *context, char hex[65])
{
    strcpy(hex, ((const struct want *)context)->sha256);
    return hex[0] != '\0';
}

/* Does the policy let it happen, both when the file is opened and when the name is resolved? `attack`: it is known to
 * be one, by the rule in the record or by the policy's own word, since any program could have written the record. */
static bool is_allowed(const struct policy *policy, const struct want *want, bool *attack)
{
    static const enum moment moments[] = {MOMENT_LOAD, MOMENT_LIVE};
    bool allowed = true;
    struct effect effect = {.kind = want->effect, .name = want->name, .format = "unknown"};
    struct want copy = *want;

    *attack = want->rule && policy_rule_is_attack(policy, want->rule);
    for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
        struct subject subject = {
            .effect = &effect,
            .moment = moments[i],
            .origin = want->origin,
            .path = want->file,
            .model = want->model,
            .revision = want->revision,
            .sha256 = known_sha256,
            .sha256_context = &copy,
        };
        struct judgement judgement;
        policy_judge(policy, &subject, &judgement);
        if (judgement.decision == DECISION_DENY || judgement.unlisted)
            allowed = false;
        *attack |= judgement.attack;
    }
    return allowed;
}

static bool is_accepted(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->accepted.count; i++)
        if (strcmp(request->accepted.list[i], name) == 0)
            return true;
    return false;
}

/* The hash of a file that is still there, for a want whose content matters. */
static void take_content(struct want *want)
{
    struct stat status;
    int fd =
        want->sha256[0] == '\0' && want->file ? open(want->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

    if (fd < 0)
        return;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || file_hash(fd, &status, NULL, want->sha256) != HASH_DONE)
        want->sha256[0] = '\0';
    close(fd);
}

static void print_place(FILE *out, const struct want *want)
{
    const char *place = want->model ? want->model : want->path ? want->path : "no known file";

    command_print_visible(out, place);
    if (want->revision) {
        fputc('@', out);
        command_print_visible(out, want->revision);
    }
}

static void print_want(FILE *out, const struct want *want)
{
    fprintf(out, "  %s ", effect_kind_name(want->effect));
    command_print_visible(out, want->name);
    fputs(" in ", out);
    print_place(out, want);
    if (want->rule) {
        fputs(" [", out);
        command_print_visible(out, want->rule);
        fputc(']', out);
    }
    if (want->asker) {
        fputs(" asked by ", out);
        command_print_visible(out, want->asker);
    }
    fputc('\n', out);
}

/* Moves what is to be learnt to the front. How many are refused, said on stderr. */
static size_t wants_sift(const struct request *request, struct wants *wants, const struct policy *policy)
{
    size_t kept = 0, refused = 0;

    for (size_t i = 0; i < wants->count; i++) {
        struct want *want = &wants->list[i], swap;
        const char *why = NULL;
        bool attack;
        if (want_needs_content(want))
            take_content(want);
        if (is_allowed(policy, want, &attack))
            continue;
        if (attack && !is_accepted(request, want->name))
            why = "known to be dangerous; to allow it all the same, name it with --accept";
        else if (want_needs_content(want) && want->sha256[0] == '\0')
            why = "its content is not known any more, so a rule would allow any other as well";
        if (why) {
            fprintf(stderr, "guard learn: refused: %s\n", why);
            print_want(stderr, want);
            refused++;
            continue;
        }
        swap = wants->list[kept];
        wants->list[kept++] = *want;
        wants->list[i] = swap;
    }
    wants->learnt = kept;
    return refused;
}

static void print_learnt(FILE *out, const struct wants *wants, size_t rules, const char *name)
{
    size_t calls = 0;

    for (size_t i = 0; i < wants->learnt; i++)
        calls += wants->list[i].effect == EFFECT_CALL;
    command_print_visible(out, name);
    fprintf(out, ": %zu rule%s learnt\n", rules, rules == 1 ? "" : "s");
    if (calls > 0)
        fputs("These are called with arguments of the file's choice; review them before you use the policy:\n", out);
    for (size_t i = 0; i < wants->learnt; i++)
        if (wants->list[i].effect == EFFECT_CALL)
            print_want(out, &wants->list[i]);
    if (calls < wants->learnt)
        fputs("These only appear by name, or are created, carried or opened:\n", out);
    for (size_t i = 0; i < wants->learnt; i++)
        if (wants->list[i].effect != EFFECT_CALL)
            print_want(out, &wants->list[i]);
}

/* The text to add to, malloc'd: the policy of --into, or an empty one. NULL, said on stderr. */
static char *text_start(const struct request *request)
{
    struct stat status;
    size_t length;

    if (!request->into || (stat(request->into, &status) < 0 && errno == ENOENT))
        return command_copy("{\n  \"version\": 1,\n  \"rules\": []\n}\n");
    char *text = policy_read_file(request->into, &length);
    if (!text)
        command_error(EXIT_USAGE, "learn", "%s: %s", request->into, strerror(errno));
    return text;
}

/* Compiles the text as a user's policy over the site's: what is in it already adds nothing. */
static struct policy *policy_of(const struct request *request)
{
    struct policy_fault fault = {0};
    struct stat status;
    bool there = request->into && stat(request->into, &status) == 0;
    struct policy *policy = settings_load_policy(there ? request->into : NULL, &fault);

    if (!policy)
        command_print_fault("learn", &fault);
    return policy;
}

static int learn(const struct request *request, const struct policy *policy, char *text)
{
    struct wants wants = {0};
    struct log_totals totals;
    struct policy_fault fault = {0};
    size_t rules;
    FILE *out = strcmp(request->output, "-") == 0 ? stderr : stdout;

    bool read = log_read("learn", (char *const *)(uintptr_t)request->logs.list, request->logs.count, wants_take, &wants,
                         &totals);
    size_t refused = wants_sift(request, &wants, policy);
    text = learn_rules(text, &wants, &rules, &fault);
    int status = !read ? EXIT_USAGE : refused > 0 ? EXIT_DENIED : 0;
    if (!text) {
        command_print_fault("learn", &fault);
        status = EXIT_USAGE;
    } else if (!command_write_file(request->output, text)) {
        status = command_error(EXIT_USAGE, "learn", "%s: %s", request->output, strerror(errno));
    } else {
        print_learnt(out, &wants, rules, out == stderr ? "the policy" : request->output);
    }
    if (wants.guards > 0)
        fprintf(stderr,
                "guard learn: %llu denial%s that no rule can allow (drift from a lock, faults of the guard itself)\n",
                (unsigned long long)wants.guards, wants.guards == 1 ? "" : "s");
    free(text);
    wants_free(&wants);
    return status;
}

int command_learn(int argc, char **argv)
{
    struct request request = {0};

    int status = options_read(&request, argc, argv);
    if (status >= 0)
        return status;
    environment_capture();
    int folder = strcmp(request.output, "-") == 0 ? -1 : command_lock_folder(request.output);
    struct policy *policy = policy_of(&request);
    char *text = policy ? text_start(&request) : NULL;
    status = text ? learn(&request, policy, text) : EXIT_USAGE;
    if (folder >= 0)
        close(folder);
    policy_free(policy);
    free(request.accepted.list);
    free(request.logs.list);
    return status;
}
