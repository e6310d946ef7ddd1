/* Files judged by several processes, with the results in the order of the list. */
#ifndef GUARD_SCAN_WORKERS_H
#define GUARD_SCAN_WORKERS_H

#include "scan_file.h"
#include "scan_list.h"

/* Told of each file in order: its outcome, and what is to be printed. */
typedef void (*scan_done)(void *context, struct scan_outcome outcome, const char *text, size_t length);

/* Judges all of `list` in `jobs` (at least 1) child processes. A child that dies takes one file with it, which comes
 * out as an error; the rest goes on in a new one. */
void scan_workers_run(const struct scan_options *options, const struct scan_list *list, unsigned jobs, scan_done done,
                      void *context);

#endif
