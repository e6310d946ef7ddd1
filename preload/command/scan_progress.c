#include "scan_progress.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Between two drawings, and before the first. */
#define PERIOD_NS 200000000L
#define PATIENCE_S 1

static struct timespec later(long seconds, long nanoseconds)
{
    struct timespec when;

    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += seconds + (when.tv_nsec + nanoseconds) / 1000000000L;
    when.tv_nsec = (when.tv_nsec + nanoseconds) % 1000000000L;
    return when;
}

void scan_progress_start(struct scan_progress *progress)
{
    const char *terminal = getenv("TERM");

    *progress = (struct scan_progress){.terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0};
    progress->next = later(PATIENCE_S, 0);
}

void scan_progress_step(struct scan_progress *progress, size_t done, size_t all, size_t denied)
{
    if (!progress->terminal)
        return;
    struct timespec now = later(0, 0);
    if (now.tv_sec < progress->next.tv_sec ||
        (now.tv_sec == progress->next.tv_sec && now.tv_nsec < progress->next.tv_nsec))
        return;
    fprintf(stderr, "\r\033[Kguard scan: %zu of %zu files, %zu denied", done, all, denied);
    progress->shown = true;
    progress->next = later(0, PERIOD_NS);
}

void scan_progress_clear(struct scan_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
