/* What `guard scan` says of one file: a file a form of words. */
#ifndef GUARD_SCAN_WORDS_H
#define GUARD_SCAN_WORDS_H

#include "../model.h"
#include "scan_file.h"

/* One file and what was found in it. */
struct scan_said {
    const char *path; /* as it was named */
    enum scan_verdict verdict;
    const char *error; /* why it could not be judged, or NULL */
    const struct model_identity *model; /* NULL: not known */
    const struct judged *judged;
};

/* "allow", "warn", "deny", "error". */
const char *scan_verdict_name(enum scan_verdict verdict);

/* The findings in the order in which they matter: attacks, denials, warnings, edges; within that as in the file.
 * Returns how many there are. */
size_t scan_order(const struct judged *judged, const struct finding *order[JUDGED_FINDINGS]);

/* "declared", "pickled" or "observed": the kind of the edge to another model. */
const char *scan_edge_how(const struct finding *finding);

/* Lines for people; nothing for a file that is no model. An error goes to standard error. */
void scan_text(const struct scan_options *options, const struct scan_said *said, FILE *out);

/* One line, always (CONTRACT of the interface: see guard(1)). `line`: room of `size` bytes to compose it in. */
void scan_json(const struct scan_said *said, char *line, size_t size, FILE *out);

/* SARIF 2.1.0 results, one line each, for scan_sarif_take() to put together. */
void scan_sarif(const struct scan_said *said, char *line, size_t size, FILE *out);

#endif
