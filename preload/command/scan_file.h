/* One file judged at rest and put into words. */
#ifndef GUARD_SCAN_FILE_H
#define GUARD_SCAN_FILE_H

#include "../judge.h"

#include <stdio.h>

enum scan_format { SCAN_FORMAT_TEXT, SCAN_FORMAT_JSON, SCAN_FORMAT_SARIF };

struct scan_options {
    const struct policy *policy;
    const char *policy_file; /* named by --policy, or NULL */
    enum scan_format format;
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

/* Judges `path` ("-": standard input) and writes what there is to say to `out`: see scan_words.h. */
struct scan_outcome scan_file(const struct scan_options *options, struct scan_work *work, const char *path, FILE *out);

/* Writes the line of a file that could not be judged, for a reason of our own. */
void scan_file_failed(const struct scan_options *options, struct scan_work *work, const char *path, const char *error,
                      FILE *out);

#endif
