/* Fuzzes what report, lock and learn make of a log: any program of the user could have written its lines. Promises
 * checked: the report's JSON and what learn and lock write can be read again. */
#define _GNU_SOURCE
#include "../../policy/lock.h"
#include "../../preload/command/command.h"
#include "../../preload/command/inventory.h"
#include "../../preload/command/learn_wants.h"
#include "../../preload/command/lock_verb.h"
#include "../../preload/command/report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What reading a damaged log says for people goes nowhere: there are a hundred thousand of them. */
static FILE *silent, *loud;

static void fail(const char *what, const char *text)
{
    fprintf(loud, "%s\n%.4096s\n", what, text);
    abort();
}

/* Compiling the built-in policy takes longer than all the rest. */
static const struct policy *built_in(void)
{
    static struct policy *policy;
    struct policy_fault fault;
    if (!policy && !(policy = policy_load(NULL, 0, &fault)))
        fail(fault.message, "");
    return policy;
}

/* In all forms. */
static void make_report(char *log)
{
    static void (*const forms[])(const struct report *report, FILE *out) = {report_json, report_text, report_dot,
                                                                              report_html};
    struct report *report = report_new(built_in());
    log_read("report", &log, 1, report_take, report, &report->totals);
    report_join(report);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char *text = NULL;
        size_t length;
        FILE *out = open_memstream(&text, &length);
        if (!out)
            exit(2);
        forms[i](report, out);
        fclose(out);
        cJSON *read = i == 0 ? cJSON_ParseWithLength(text, length) : NULL;
        if (i == 0 && !read && !strstr(text, "\\udc"))
            fail("the report's JSON cannot be read", text);
        cJSON_Delete(read);
        free(text);
    }
    report_free(report);
}

static void make_policy(char *log)
{
    struct wants wants = {0};
    struct log_totals totals;
    struct policy_fault fault = {0};
    size_t rules;
    log_read("learn", &log, 1, wants_take, &wants, &totals);
    wants.learnt = wants.count;
    char *text = learn_rules(command_copy("{\"version\": 1, \"rules\": []}"), &wants, &rules, &fault);
    if (!text && !fault.message[0])
        fail("no policy, and no reason", "");
    if (text && rules > 0) {
        const struct policy_text own = {.name = "learnt", .text = text, .length = strlen(text)};
        struct policy *policy = policy_load(&own, 1, &fault);
        if (!policy)
            fail(fault.message, text);
        policy_free(policy);
    }
    free(text);
    wants_free(&wants);
}

static void make_lock(char *log)
{
    struct inventory inventory = {0};
    struct log_totals totals;
    struct policy_fault fault = {0};
    log_read("lock", &log, 1, inventory_take, &inventory, &totals);
    inventory_shorten(&inventory);
    char *text = lock_print(&inventory);
    const struct policy_text own = {.name = "lock", .text = text, .length = strlen(text)};
    struct lock *lock = lock_load(&own, &fault);
    if (!lock)
        fail(fault.message, text);
    lock_free(lock);
    cJSON_free(text);
    inventory_free(&inventory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char log[32];
    if (!silent && !(silent = fopen("/dev/null", "w")))
        exit(2);
    loud = stderr;
    stderr = silent;
    int fd = memfd_create("log", MFD_CLOEXEC);
    if (fd < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size))
        exit(2);
    snprintf(log, sizeof log, "/proc/self/fd/%d", fd);
    make_report(log);
    make_policy(log);
    make_lock(log);
    close(fd);
    stderr = loud;
    return 0;
}
