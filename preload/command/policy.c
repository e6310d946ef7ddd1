/* guard policy: shows, checks, explains and extends policies. */
#define _GNU_SOURCE
#include "policy_verbs.h"

#include "../settings.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

static const char help[] =
    "Usage: guard policy show [--policy FILE]\n"
    "       guard policy check FILE\n"
    "       guard policy explain [--policy FILE] NAME...\n"
    "       guard policy add --to FILE [OPTION...] EFFECT NAME\n"
    "\n"
    "  show      the policy in force, as JSON: the built-in one, the site's, and FILE's\n"
    "  check     is FILE a valid policy, and which built-in denials do its rules override?\n"
    "  explain   which rule decides NAME, and why: a callable (os.system), a path (/etc/passwd, ./model.pt), a model\n"
    "            (hf:org/name), or EFFECT:NAME for one effect only (call:torch.load, code:marshal)\n"
    "  add       writes a rule that allows NAME for EFFECT, in front of the rules of FILE\n"
    "\n"
    "Effects: import create call depend code read write exec connect native malformed opaque\n"
    "\n"
    "Options of add:\n"
    "  --to FILE        the policy file; made if it is not there\n"
    "  --model MODEL    only in this model: hf:org/name, hf:org/name@COMMIT or file:FOLDER (globs)\n"
    "  --path GLOB      only in files of this path\n"
    "  --sha256 HEX     only in the file of this content\n"
    "  --why TEXT       the reason, for those who read the file later\n"
    "\n"
    "Exit status: 0 good, 1 FILE is no valid policy, 2 wrong usage or FILE cannot be read or written.\n";

static int policy_show(int argc, char **argv)
{
    const char *file = NULL;

    int status = policy_option(argc, argv, &file);
    if (status >= 0)
        return status;
    if (optind != argc)
        return command_usage(EXIT_USAGE, "policy", "show takes no arguments");
    struct policy *policy = command_load_policy("policy", file);
    if (!policy)
        return EXIT_USAGE;
    static const char *const modes[] = {
        [MODE_UNSET] = "enforce", [MODE_ENFORCE] = "enforce", [MODE_AUDIT] = "audit", [MODE_OFF] = "off"};
    struct policy_text built_in = policy_built_in();
    bool good = true;
    printf("{\"mode\": \"%s\", \"locked\": %s, \"log_required\": %s, \"policies\": [\n", modes[policy_mode(policy)],
           policy_locked(policy) ? "true" : "false", policy_log_required(policy) ? "true" : "false");
    if (file)
        good = policy_print_file(file, true);
    good = policy_print_file(SETTINGS_SITE_POLICY, false) && good;
    printf("{\"file\": null, \"policy\": %.*s}\n]}\n", (int)built_in.length, built_in.text);
    policy_free(policy);
    return good ? 0 : EXIT_USAGE;
}

struct shadows {
    size_t count;
};

static void print_shadow(void *context, const struct policy_shadow *shadow)
{
    struct shadows *shadows = context;

    if (shadows->count++ == 0)
        puts("These rules come before built-in denials and decide less strictly:");
    printf("  ");
    command_print_visible(stdout, shadow->rule);
    printf(" over %s: %s ", shadow->denial, effect_kind_name(shadow->effect));
    command_print_visible(stdout, shadow->pattern);
    puts(shadow->narrowed ? " (in some cases only)" : "");
}

static int policy_check(int argc, char **argv)
{
    struct policy_fault fault = {0};
    struct shadows shadows = {0};

    static const struct option options[] = {{0}};
    opterr = 0;
    optind = 1;
    if (getopt_long(argc, argv, ":", options, NULL) != -1)
        return command_usage(EXIT_USAGE, "policy", "check has no option %s", argv[optind - 1]);
    const char *file = optind + 1 == argc ? argv[optind] : "";
    if (file[0] == '\0')
        return command_usage(EXIT_USAGE, "policy", "check takes one FILE");
    struct policy *policy = settings_load_policy(file, &fault);
    if (!policy) {
        command_print_fault("policy", &fault);
        return fault.line > 0 && strcmp(fault.name, file) == 0 ? EXIT_DENIED : EXIT_USAGE;
    }
    command_print_visible(stdout, file);
    puts(": valid");
    policy_shadows(policy, print_shadow, &shadows);
    policy_free(policy);
    return 0;
}

int policy_option(int argc, char **argv, const char **file)
{
    static const struct option options[] = {
        {"policy", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {0}};

    opterr = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (option != 'p')
            return command_usage(EXIT_USAGE, "policy", option == ':' ? "%s needs a value" : "there is no option %s",
                                 argv[optind - 1]);
        *file = optarg;
    }
    return -1;
}

int command_policy(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"show", policy_show}, {"check", policy_check}, {"explain", policy_explain}, {"add", policy_add}};
    const char *verb = argc > 1 ? argv[1] : NULL;

    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
    }
    for (size_t i = 0; verb && i < sizeof(verbs) / sizeof(*verbs); i++)
        if (strcmp(verb, verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    return verb ? command_usage(EXIT_USAGE, "policy", "there is no verb \"%s\"", verb)
                : command_usage(EXIT_USAGE, "policy", "show, check, explain or add?");
}
