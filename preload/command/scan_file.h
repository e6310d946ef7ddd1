/* One file judged at rest and put into words. */
#ifndef GUARD_SCAN_FILE_H
#define GUARD_SCAN_FILE_H

#include "../judge.h"

#include <stdio.h>

struct scan_options {
    const struct policy *policy;
    bool json; /* else text */
    bool colour;
};

enum scan_verdict { VERDICT_ALLOW, VERDICT_WARN, VERDICT_DENY, VERDICT_ERROR };

/* What became of one file. */
struct scan_outcome {
    enum scan_verdict verdict;
    bool model; /* some format was recognised */
};

/* Working memory, used for one file after the other. */
struct scan_work {
    struct judged judged;
    char line[2u << 20]; /* of JSON: room for JUDGED_FINDINGS findings whose every byte needs an escape */
};

/* Judges `path` ("-": standard input) and writes what there is to say to `out`: in text nothing for a file that is no
 * model, in JSON always one line. */
struct scan_outcome scan_file(const struct scan_options *options, struct scan_work *work, const char *path, FILE *out);

/* Writes the line of a file that could not be judged, for a reason of our own. */
void scan_file_failed(const struct scan_options *options, struct scan_work *work, const char *path, const char *error,
                      FILE *out);

#endif
