/* guard policy add, and policy files as texts. */
#define _GNU_SOURCE
#include "policy_verbs.h"

#include "../json_out.h"
#include "../settings.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
    request->rule.name = argv[optind + 1];
    request->rule.then = DECISION_ALLOW;
    if (request->rule.effect == EFFECT_KINDS)
        return command_usage(EXIT_USAGE, "policy", "\"%s\" is no effect", argv[optind]);
    if (request->rule.name[0] == '\0')
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

/* Replaces `file`, or what it is a link to, by `text` in one step: a program that starts now reads the old or the new
 * one. False with errno. */
static bool file_replace(const char *file, const char *text, const struct stat *old)
{
    char *real = realpath(file, NULL);
    const char *target = real ? real : file;
    char *fresh = command_memory(strlen(target) + 8);
    strcat(strcpy(fresh, target), ".XXXXXX");
    int fd = mkostemp(fresh, O_CLOEXEC), error = fd < 0 ? errno : 0;
    size_t length = strlen(text);

    if (fd >= 0) {
        for (size_t done = 0; error == 0 && done < length;) {
            ssize_t wrote = write(fd, text + done, length - done);
            if (wrote < 0 && errno != EINTR)
                error = errno;
            done += wrote > 0 ? (size_t)wrote : 0;
        }
        mode_t mask = umask(0);
        umask(mask);
        if (error == 0 && fchmod(fd, old ? old->st_mode & 07777 : 0666 & ~mask & ~(mode_t)S_IWOTH) < 0)
            error = errno;
        /* Only root can keep another owner, and a policy that changed hands may no longer be trusted. */
        if (error == 0 && old && (old->st_uid != geteuid() || old->st_gid != getegid()) &&
            fchown(fd, old->st_uid, old->st_gid) < 0)
            error = errno;
        if (error == 0 && fsync(fd) < 0)
            error = errno;
        if (close(fd) < 0 && error == 0)
            error = errno;
        if (error == 0 && rename(fresh, target) < 0)
            error = errno;
        if (error != 0)
            unlink(fresh);
    }
    free(fresh);
    free(real);
    errno = error;
    return error == 0;
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

/* Two that add at the same time would lose one rule. The folder is what they have in common, as the file is replaced;
 * where folders cannot be locked (some network file systems) it stays at that. The descriptor, or -1. */
static int folder_lock(const char *file)
{
    char *real = realpath(file, NULL), *folder = real ? real : command_absolute(file), *slash = strrchr(folder, '/');

    slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX);
    return fd;
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
        result = file_replace(request->to, more, there ? &status : NULL)
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
    int lock = folder_lock(request.to);
    status = rule_write(&request);
    if (lock >= 0)
        close(lock);
    if (status == 0) {
        command_print_visible(stdout, request.to);
        printf(": %s ", effect_kind_name(request.rule.effect));
        command_print_visible(stdout, request.rule.name);
        puts(" is allowed from now on");
    }
    free(request.model);
    return status;
}
