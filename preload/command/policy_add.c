/* guard policy add, and policy files as texts. */
#define _GNU_SOURCE
#include "policy_verbs.h"

#include "../json_out.h"
#include "../settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *policy_read_file(const char *file, size_t *length)
{
    FILE *in = fopen(file, "re");
    char *text = in ? command_memory(SETTINGS_POLICY_MAX + 1) : NULL;

    if (!in)
        return NULL;
    *length = fread(text, 1, SETTINGS_POLICY_MAX, in);
    int error = ferror(in) ? errno : fgetc(in) != EOF ? EFBIG : 0;
    fclose(in);
    text[*length] = '\0';
    if (error == 0)
        return text;
    free(text);
    errno = error;
    return NULL;
}

bool policy_print_file(const char *file, bool needed)
{
    size_t length;
    char *text = policy_read_file(file, &length), name[4096 * 6];
    struct json_out out;

    if (!text && errno == ENOENT && !needed)
        return true;
    if (!text) {
        command_error(EXIT_USAGE, "policy", "%s: %s", file, strerror(errno));
        return false;
    }
    json_out_start(&out, name, sizeof(name));
    json_out_string(&out, NULL, file);
    printf("{\"file\": %s, \"policy\": %s},\n", name, text);
    free(text);
    return true;
}

struct request {
    struct policy_rule_request rule;
    const char *name[2]; /* and NULL */
    const char *to;
    char *model; /* without its "@COMMIT" */
};

static bool is_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* Reads options and arguments; -1 to go on, else the exit status. */
static int request_read(struct request *request, int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'},   {"model", required_argument, NULL, 'm'},
        {"path", required_argument, NULL, 'p'}, {"sha256", required_argument, NULL, 's'},
        {"why", required_argument, NULL, 'w'},  {0},
    };

    opterr = 0;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        switch (option) {
        case 't':
            request->to = optarg;
            break;
        case 'm':
            request->model = command_copy(optarg);
            break;
        case 'p':
            request->rule.path = optarg;
            break;
        case 's':
            request->rule.sha256 = optarg;
            break;
        case 'w':
            request->rule.why = optarg;
            break;
        default:
            return command_usage(EXIT_USAGE, "policy", option == ':' ? "%s needs a value" : "add has no option %s",
                                 argv[optind - 1]);
        }
    }
    if (!request->to)
        return command_usage(EXIT_USAGE, "policy", "add needs --to FILE");
    if (argc - optind != 2)
        return command_usage(EXIT_USAGE, "policy", "add takes an EFFECT and a NAME");
    request->rule.effect = effect_kind_find(argv[optind], strlen(argv[optind]));
    request->name[0] = argv[optind + 1];
    request->rule.names = request->name;
    request->rule.then = DECISION_ALLOW;
    if (request->rule.effect == EFFECT_KINDS)
        return command_usage(EXIT_USAGE, "policy", "\"%s\" is no effect", argv[optind]);
    if (request->name[0][0] == '\0')
        return command_usage(EXIT_USAGE, "policy", "the NAME is empty");
    if (request->rule.sha256 && !is_sha256(request->rule.sha256))
        return command_usage(EXIT_USAGE, "policy", "--sha256 takes 64 digits of lower-case hexadecimal");
    /* hf:org/name@COMMIT; a folder may have an "@" in its name. */
    char *at = request->model && strncmp(request->model, "hf:", 3) == 0 ? strrchr(request->model, '@') : NULL;
    if (at) {
        *at = '\0';
        request->rule.revision = at + 1;
    }
    request->rule.model = request->model;
    return -1;
}

/* Is `text` a policy that loads? Says what is wrong otherwise. */
static bool text_loads(const char *file, const char *text)
{
    struct policy_fault fault = {0};
    struct policy_text one = {.name = file, .text = text, .length = strlen(text)};
    struct policy *policy = policy_load(&one, 1, &fault);

    if (!policy)
        command_print_fault("policy", &fault);
    policy_free(policy);
    return policy != NULL;
}

static int rule_write(const struct request *request)
{
    struct policy_fault fault = {0};
    struct stat status;
    size_t length = 0;
    bool there = stat(request->to, &status) == 0;
    char *text = there ? policy_read_file(request->to, &length) : NULL;

    if (!text && errno != ENOENT)
        return command_error(EXIT_USAGE, "policy", "%s: %s", request->to, strerror(errno));
    /* An empty file is one that somebody made with touch. */
    char *more = policy_add_rule(text && text[strspn(text, " \t\r\n")] != '\0' ? text : NULL, &request->rule, &fault);
    free(text);
    if (!more) {
        snprintf(fault.name, sizeof(fault.name), "%s", request->to);
        command_print_fault("policy", &fault);
        return EXIT_DENIED;
    }
    int result = EXIT_DENIED;
    if (text_loads(request->to, more))
        result = command_replace_file(request->to, more, there ? &status : NULL)
                     ? 0
                     : command_error(EXIT_USAGE, "policy", "%s: %s", request->to, strerror(errno));
    free(more);
    return result;
}

int policy_add(int argc, char **argv)
{
    struct request request = {0};

    int status = request_read(&request, argc, argv);
    if (status >= 0)
        return status;
    int lock = command_lock_folder(request.to);
    status = rule_write(&request);
    if (lock >= 0)
        close(lock);
    if (status == 0) {
        command_print_visible(stdout, request.to);
        printf(": %s ", effect_kind_name(request.rule.effect));
        command_print_visible(stdout, request.name[0]);
        puts(" is allowed from now on");
    }
    free(request.model);
    return status;
}
