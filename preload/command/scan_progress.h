/* How far a long scan has come, on a terminal. */
#ifndef GUARD_SCAN_PROGRESS_H
#define GUARD_SCAN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct scan_progress {
    bool terminal; /* standard error is one that can redraw a line */
    bool shown;
    struct timespec next; /* when the line is due to be drawn again */
};

/* Shows nothing for the first second. */
void scan_progress_start(struct scan_progress *progress);

/* `done` of `all` files are judged, `denied` of them denied. */
void scan_progress_step(struct scan_progress *progress, size_t done, size_t all, size_t denied);

/* Takes the line away, so that other output can stand in its place. */
void scan_progress_clear(struct scan_progress *progress);

#endif
