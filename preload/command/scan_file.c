#define _GNU_SOURCE
#include "scan_file.h"

#include "scan_words.h"

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

static void print(const struct scan_options *options, struct scan_work *work, const struct scan_said *said, FILE *out)
{
    switch (options->format) {
    case SCAN_FORMAT_TEXT:
        scan_text(options, said, out);
        break;
    case SCAN_FORMAT_JSON:
        scan_json(said, work->line, sizeof(work->line), out);
        break;
    case SCAN_FORMAT_SARIF:
        scan_sarif(said, work->line, sizeof(work->line), out);
        break;
    }
}

void scan_file_failed(const struct scan_options *options, struct scan_work *work, const char *path, const char *error,
                      FILE *out)
{
    const struct scan_said said = {.path = path, .verdict = VERDICT_ERROR, .error = error, .judged = &work->judged};

    memset(&work->judged, 0, offsetof(struct judged, findings));
    print(options, work, &said, out);
}

/* Is it code that lies beside a model? */
static bool lies_beside(struct subject_file *file)
{
    unsigned char head[512];
    ssize_t got = file_pread(file, head, sizeof(head), 0);

    return got > 0 && file->absolute[0] != '\0' && scan_beside(head, (size_t)got, file->absolute) &&
           model_beside_weights(file->absolute);
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
            .beside = lies_beside(&file),
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
        outcome.model = work->judged.scan.format_count > 0 && !work->judged.scan.beside;
        if (work->judged.scan.status == SCAN_IO) {
            outcome.verdict = VERDICT_ERROR;
            error = strerror(work->judged.scan.error);
        }
    }
    if (file.fd >= 0)
        close(file.fd);
    const struct scan_said said = {
        .path = path, .verdict = outcome.verdict, .error = error, .model = &file.model, .judged = &work->judged};
    print(options, work, &said, out);
    return outcome;
}
