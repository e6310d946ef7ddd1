/* guard: the command. Each verb has a file of its own. */
#include "command.h"

#include "../digest_start.h"

#include <string.h>

#ifndef GUARD_VERSION
#error "the build says which version this is"
#endif

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"run", command_run},
    {"scan", command_scan},
    {"report", command_report},
    {"lock", command_lock},
    {"learn", command_learn},
    {"policy", command_policy},
};

static const char help[] = "Usage: guard VERB [OPTION...] [ARGUMENT...]\n"
                           "\n"
                           "Judges machine learning models, pickles and their configs when they are loaded.\n"
                           "\n"
                           "  run [OPTION...] -- COMMAND...   start a program under the guard\n"
                           "  scan [OPTION...] PATH...        judge files at rest, folders recursively\n"
                           "  report [OPTION...] LOG...       show what was loaded by whom, from the records of runs\n"
                           "  lock [OPTION...] LOG... -o FILE writes down what was loaded, to be held to\n"
                           "  learn [OPTION...] LOG...        make a policy that allows what was denied\n"
                           "  policy VERB ...                 show, check, explain or extend a policy\n"
                           "\n"
                           "`guard VERB --help` says more; so does guard(1).\n";

static int print_version(void)
{
    puts("guard " GUARD_VERSION);
    return 0;
}

/* Behind a verb, or a verb of policy. */
static bool asks_version(int argc, char **argv)
{
    int at = argc > 2 && strcmp(argv[1], "policy") == 0 && argv[2][0] != '-' ? 3 : 2;

    return argc > at && strcmp(argv[at], "--version") == 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : NULL;

    if (!verb || strcmp(verb, "-h") == 0 || strcmp(verb, "--help") == 0) {
        fputs(help, verb ? stdout : stderr);
        return verb ? 0 : EXIT_USAGE;
    }
    if (strcmp(verb, "--version") == 0)
        return print_version();
    digest_start();
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (strcmp(verb, verbs[i].name) == 0)
            return asks_version(argc, argv) ? print_version() : verbs[i].run(argc - 1, argv + 1);
    return command_usage(EXIT_USAGE, NULL, "there is no verb \"%s\"", verb);
}
