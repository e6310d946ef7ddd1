#define _GNU_SOURCE
#include "scan_workers.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Worker w judges files w, w + jobs, w + 2 jobs ...; the parent reads the workers in turn, so results come in order and
 * a fast worker waits in write() instead of piling results up. */
struct worker {
    pid_t pid; /* 0: there is none */
    FILE *results;
};

/* What a worker sends for each file, in front of the text. */
struct result {
    struct scan_outcome outcome;
    size_t length;
};

static struct scan_work *work_take(void)
{
    void *work = mmap(NULL, sizeof(struct scan_work), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (work == MAP_FAILED) {
        fputs("guard: out of memory\n", stderr);
        exit(EXIT_USAGE);
    }
    return work;
}

/* Judges one item. The text is malloc'd. */
static struct scan_outcome item_judge(const struct scan_options *options, struct scan_work *work,
                                      const struct scan_item *item, char **text, size_t *length)
{
    struct scan_outcome outcome = {.verdict = VERDICT_ERROR};
    FILE *out = open_memstream(text, length);

    if (!out) {
        fputs("guard: out of memory\n", stderr);
        exit(EXIT_USAGE);
    }
    if (item->error)
        scan_file_failed(options, work, item->path, item->error, out);
    else
        outcome = scan_file(options, work, item->path, out);
    fclose(out);
    return outcome;
}

static bool write_all(int fd, const void *data, size_t length)
{
    for (const char *at = data; length > 0;) {
        ssize_t wrote = write(fd, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        at += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

static _Noreturn void worker_main(const struct scan_options *options, const struct scan_list *list, size_t first,
                                  unsigned jobs, int to)
{
    struct scan_work *work = work_take();

    for (size_t i = first; i < list->count; i += jobs) {
        struct result result;
        char *text = NULL;
        memset(&result, 0, sizeof(result));
        result.outcome = item_judge(options, work, &list->items[i], &text, &result.length);
        if (!write_all(to, &result, sizeof(result)) || !write_all(to, text, result.length))
            _exit(1);
        free(text);
    }
    _exit(0);
}

static void worker_start(struct worker *worker, const struct scan_options *options, const struct scan_list *list,
                         size_t first, unsigned jobs)
{
    int ends[2];

    fflush(NULL);
    *worker = (struct worker){0};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    worker->pid = fork();
    if (worker->pid == 0) {
        close(ends[0]);
        /* Siblings hold the reading ends of each other's pipes, so nobody would notice that the parent is gone. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        worker_main(options, list, first, jobs, ends[1]);
    }
    close(ends[1]);
    if (worker->pid > 0)
        worker->results = fdopen(ends[0], "r");
    else
        close(ends[0]);
}

/* Waits for a worker's end and says how it died. */
static const char *worker_end(struct worker *worker)
{
    static char reason[96];
    int status = 0;

    if (worker->results)
        fclose(worker->results);
    while (worker->pid > 0 && waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (worker->pid <= 0)
        snprintf(reason, sizeof(reason), "no process could be started to judge it");
    else if (WIFSIGNALED(status))
        snprintf(reason, sizeof(reason), "judging it ended in signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(reason, sizeof(reason), "judging it ended early (status %d)", WEXITSTATUS(status));
    *worker = (struct worker){0};
    return reason;
}

/* Reads the next result of a worker. False when the worker is gone. */
static bool result_read(struct worker *worker, struct result *result, char **text)
{
    if (!worker->results || fread(result, sizeof(*result), 1, worker->results) != 1)
        return false;
    *text = command_memory(result->length + 1);
    if (fread(*text, 1, result->length, worker->results) == result->length)
        return true;
    free(*text);
    return false;
}

void scan_workers_run(const struct scan_options *options, const struct scan_list *list, unsigned jobs, scan_done done,
                      void *context)
{
    if (list->count == 0)
        return;
    struct worker *workers = command_memory(jobs * sizeof(*workers));
    for (unsigned i = 0; i < jobs; i++)
        worker_start(&workers[i], options, list, i, jobs);
    for (size_t i = 0; i < list->count; i++) {
        struct worker *worker = &workers[i % jobs];
        struct result result;
        char *text;
        if (result_read(worker, &result, &text)) {
            done(context, result.outcome, text, result.length);
            free(text);
            continue;
        }
        struct scan_work *work = work_take();
        char *line = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&line, &length);
        scan_file_failed(options, work, list->items[i].path, worker_end(worker), out);
        fclose(out);
        done(context, (struct scan_outcome){.verdict = VERDICT_ERROR}, line, length);
        free(line);
        munmap(work, sizeof(*work));
        if (i + jobs < list->count)
            worker_start(worker, options, list, i + jobs, jobs);
    }
    for (unsigned i = 0; i < jobs; i++)
        if (workers[i].pid > 0)
            worker_end(&workers[i]);
    free(workers);
}
