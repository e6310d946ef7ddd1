/* A SARIF 2.1.0 log put together from the results of single files
 * (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html). */
#ifndef GUARD_SCAN_SARIF_H
#define GUARD_SCAN_SARIF_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

/* Results are written as they come; rules and errors, which stand elsewhere in the document, are kept until the end. */
struct scan_sarif {
    FILE *out;
    cJSON *rules;  /* reportingDescriptors, one an id */
    cJSON *errors; /* notifications about files that could not be judged */
    bool comma;
};

void scan_sarif_open(struct scan_sarif *log, FILE *out);

/* Takes what scan_sarif() of scan_words.h wrote about one file. */
void scan_sarif_take(struct scan_sarif *log, const char *text, size_t length);

/* Writes what is left and frees what was kept. */
void scan_sarif_close(struct scan_sarif *log);

#endif
