#define _GNU_SOURCE
#include "scan_file.h"

#include "../json_out.h"
#include "../model.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file at hand. */
struct subject_file {
    int fd;
    uint64_t size;
    char absolute[PATH_MAX]; /* the folder without links, the name as given: configs go by it */
    struct model_identity model;
};

static ssize_t file_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct subject_file *file = context;
    ssize_t got;

    if (offset > INT64_MAX)
        return 0;
    do
        got = pread(file->fd, buffer, length, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static bool file_sha256(void *context, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char buffer[65536], hash[SHA256_DIGEST_LENGTH];
    SHA256_CTX state;
    ssize_t got;
    uint64_t offset = 0;

    SHA256_Init(&state);
    while ((got = file_pread(context, buffer, sizeof(buffer), offset)) > 0) {
        SHA256_Update(&state, buffer, (size_t)got);
        offset += (uint64_t)got;
    }
    SHA256_Final(hash, &state);
    for (size_t i = 0; i < sizeof(hash); i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    hex[64] = '\0';
    return got == 0;
}

/* Standard input may be a pipe; the analyzer needs to go back and forth. */
static int standard_input(void)
{
    char buffer[65536];
    ssize_t got;
    int fd = memfd_create("stdin", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    while ((got = read(STDIN_FILENO, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        for (ssize_t done = 0, wrote; got > 0 && done < got; done += wrote) {
            wrote = write(fd, buffer + done, (size_t)(got - done));
            if (wrote < 0) {
                got = -1;
                break;
            }
        }
        if (got < 0) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
    }
    return fd;
}

static void absolute_path(const char *path, char absolute[PATH_MAX])
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = slash ? (slash == path ? 1 : (size_t)(slash - path)) : 0;

    absolute[0] = '\0';
    if (length >= sizeof(folder))
        return;
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (!realpath(length > 0 ? folder : ".", real) || strlen(real) + strlen(name) + 2 > PATH_MAX)
        return;
    strcpy(absolute, strcmp(real, "/") == 0 ? "" : real);
    strcat(absolute, "/");
    strcat(absolute, name);
}

/* Opens `path`; NULL, or what is wrong with it. A FIFO must not block, and a terminal not become ours. */
static const char *file_open(struct subject_file *file, const char *path)
{
    struct stat status;
    bool piped = strcmp(path, "-") == 0;

    file->fd = piped ? standard_input() : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0)
        return strerror(errno);
    if (fstat(file->fd, &status) < 0)
        return strerror(errno);
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? "it is a folder" : "it is no regular file";
    file->size = (uint64_t)status.st_size;
    file->absolute[0] = '\0';
    memset(&file->model, 0, sizeof(file->model));
    if (!piped)
        absolute_path(path, file->absolute);
    if (file->absolute[0] != '\0')
        model_identify(file->absolute, &file->model);
    return NULL;
}

/* --- Words --- */

static const char *verdict_name(enum scan_verdict verdict)
{
    static const char *const names[] = {"allow", "warn", "deny", "error"};

    return names[verdict];
}

/* The findings in the order in which they matter: attacks, denials, warnings, edges; within that as in the file. */
static size_t findings_order(const struct judged *judged, const struct finding *order[JUDGED_FINDINGS])
{
    size_t count = 0;

    for (int weight = 2 * DECISION_DENY + 1; weight >= 0; weight--)
        for (size_t i = 0; i < judged->count; i++)
            if (2 * (int)judged->findings[i].judgement.decision + judged->findings[i].judgement.attack == weight)
                order[count++] = &judged->findings[i];
    return count;
}

static const char *edge_how(const struct finding *finding)
{
    if (finding->effect.kind == EFFECT_CALL || finding->effect.how == DEPEND_PICKLED)
        return "pickled";
    return finding->effect.how == DEPEND_OBSERVED ? "observed" : "declared";
}

static void json_finding(struct json_out *out, const struct finding *finding)
{
    const struct effect *effect = &finding->effect;
    char arguments[4096];

    effect_render_arguments(effect, arguments, sizeof(arguments));
    json_out_object(out, NULL);
    json_out_string(out, "rule", finding->judgement.rule);
    json_out_string(out, "decision", decision_name(finding->judgement.decision));
    json_out_string(out, "severity", finding->judgement.severity);
    json_out_string(out, "effect", effect_kind_name(effect->kind));
    json_out_string(out, "name", effect->name);
    json_out_string(out, "args", effect->argument_count > 0 || effect->argument_known ? arguments : NULL);
    json_out_string(out, "member", effect->member);
    json_out_number(out, "offset", effect->offset > INT64_MAX ? INT64_MAX : (int64_t)effect->offset);
    json_out_string(out, "why", finding->judgement.why);
    json_out_string(out, "field", effect->field);
    json_out_string(out, "detail", effect->detail);
    json_out_close_object(out);
}

static void json_line(struct scan_work *work, const char *path, enum scan_verdict verdict, const char *error, FILE *to)
{
    const struct judged *judged = &work->judged;
    const struct finding *order[JUDGED_FINDINGS];
    size_t count = findings_order(judged, order);
    struct json_out out;

    json_out_start(&out, work->line, sizeof(work->line));
    json_out_object(&out, NULL);
    json_out_string(&out, "path", path);
    json_out_string(&out, "verdict", verdict_name(verdict));
    json_out_array(&out, "format");
    for (size_t i = 0; i < judged->scan.format_count; i++)
        json_out_string(&out, NULL, judged->scan.formats[i]);
    json_out_close_array(&out);
    json_out_array(&out, "findings");
    for (size_t i = 0; i < count; i++)
        if (order[i]->judgement.decision != DECISION_ALLOW)
            json_finding(&out, order[i]);
    json_out_close_array(&out);
    json_out_array(&out, "depends");
    for (size_t i = 0; i < count; i++) {
        if (!order[i]->edge)
            continue;
        json_out_object(&out, NULL);
        json_out_string(&out, "target", finding_target(order[i]));
        json_out_string(&out, "revision", order[i]->effect.revision);
        json_out_string(&out, "how", edge_how(order[i]));
        json_out_bool(&out, "pinned", effect_revision_pinned(order[i]->effect.revision));
        json_out_close_object(&out);
    }
    json_out_close_array(&out);
    if (judged->omitted > 0)
        json_out_number(&out, "omitted", (int64_t)judged->omitted);
    json_out_string(&out, "error", error);
    json_out_close_object(&out);
    fprintf(to, "%s\n", work->line);
}

static void text_verdict(const struct scan_options *options, enum scan_verdict verdict, const char *path, FILE *out)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m", "\033[35m"};

    fprintf(out, "%s%-5s%s ", options->colour ? colours[verdict] : "", verdict_name(verdict),
            options->colour ? "\033[0m" : "");
    command_print_visible(out, path);
}

static void text_finding(const struct finding *finding, FILE *out)
{
    const struct effect *effect = &finding->effect;
    const struct judgement *judgement = &finding->judgement;
    char clause[2048];

    policy_describe(effect, clause, sizeof(clause));
    fprintf(out, "      %s: ", decision_name(judgement->decision));
    command_print_visible(out, clause);
    fprintf(out, " [%s, %s]\n", judgement->rule, judgement->severity);
    fputs("        at ", out);
    if (effect->member) {
        command_print_visible(out, effect->member);
        fputs(", ", out);
    }
    fprintf(out, "byte %llu", (unsigned long long)effect->offset);
    if (judgement->why && judgement->why[0] != '\0') {
        fputs(": ", out);
        command_print_visible(out, judgement->why);
    }
    fputc('\n', out);
}

static void text_edge(const struct finding *finding, FILE *out)
{
    const char *target = finding_target(finding);

    fputs("      needs ", out);
    command_print_visible(out, target ? target : "another model, which is named only when it runs");
    if (finding->effect.revision) {
        fputs(" at ", out);
        command_print_visible(out, finding->effect.revision);
    }
    fprintf(out, " (%s, %s)\n", edge_how(finding),
            effect_revision_pinned(finding->effect.revision) ? "pinned" : "not pinned to a commit");
}

static void text_lines(const struct scan_options *options, const struct judged *judged, const char *path,
                       enum scan_verdict verdict, const char *error, FILE *out)
{
    const struct finding *order[JUDGED_FINDINGS];

    if (judged->scan.format_count == 0 && verdict == VERDICT_ALLOW)
        return;
    if (verdict == VERDICT_ERROR) {
        fprintf(stderr, "guard scan: %s: %s\n", path, error);
        return;
    }
    text_verdict(options, verdict, path, out);
    for (size_t i = 0; i < judged->scan.format_count; i++)
        fprintf(out, "%s%s", i == 0 ? " (" : ", ", judged->scan.formats[i]);
    fputs(judged->scan.format_count > 0 ? ")\n" : "\n", out);
    size_t count = findings_order(judged, order);
    for (size_t i = 0; i < count; i++)
        if (order[i]->judgement.decision != DECISION_ALLOW)
            text_finding(order[i], out);
    for (size_t i = 0; i < count; i++)
        if (order[i]->edge)
            text_edge(order[i], out);
    if (judged->omitted > 0)
        fprintf(out, "      and %zu more, none worse\n", judged->omitted);
}

static void print(const struct scan_options *options, struct scan_work *work, const char *path,
                  enum scan_verdict verdict, const char *error, FILE *out)
{
    if (options->json)
        json_line(work, path, verdict, error, out);
    else
        text_lines(options, &work->judged, path, verdict, error, out);
}

void scan_file_failed(const struct scan_options *options, struct scan_work *work, const char *path, const char *error,
                      FILE *out)
{
    memset(&work->judged, 0, offsetof(struct judged, findings));
    print(options, work, path, VERDICT_ERROR, error, out);
}

struct scan_outcome scan_file(const struct scan_options *options, struct scan_work *work, const char *path, FILE *out)
{
    struct subject_file file = {.fd = -1};
    struct scan_outcome outcome = {.verdict = VERDICT_ERROR};
    const char *error = file_open(&file, path);

    memset(&work->judged, 0, offsetof(struct judged, findings));
    if (!error) {
        struct judge_request request = {
            .policy = options->policy,
            .source = {.pread = file_pread, .context = &file, .size = file.size},
            .in_model_root = scan_config_name(file.absolute) && model_in_root(file.absolute),
            .subject =
                {
                    .moment = MOMENT_REST,
                    .path = file.absolute[0] != '\0' ? file.absolute : NULL,
                    .model = file.model.id[0] != '\0' ? file.model.id : NULL,
                    .revision = file.model.revision[0] != '\0' ? file.model.revision : NULL,
                    .sha256 = file_sha256,
                    .sha256_context = &file,
                },
        };
        judge_source(&request, &work->judged);
        outcome.verdict = (enum scan_verdict)work->judged.worst;
        outcome.model = work->judged.scan.format_count > 0;
        if (work->judged.scan.status == SCAN_IO) {
            outcome.verdict = VERDICT_ERROR;
            error = strerror(work->judged.scan.error);
        }
    }
    if (file.fd >= 0)
        close(file.fd);
    print(options, work, path, outcome.verdict, error, out);
    return outcome;
}
