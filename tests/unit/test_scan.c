/* The scan itself: statuses, stopping, settling, failing sources and memory, nesting, and the words of effects. */
#include "../../analyzer/format.h"
#include "scanned.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct heard {
    unsigned count, calls;
    enum scan_answer answer;
    size_t taken, most;
    const unsigned char *data;
    size_t size;
    uint64_t broken_from;
};

static void *take(void *context, size_t bytes)
{
    struct heard *heard = context;

    if (bytes > heard->most - heard->taken)
        return NULL;
    heard->taken += bytes;
    return calloc(1, bytes);
}

static void give(void *context, void *pointer, size_t bytes)
{
    ((struct heard *)context)->taken -= bytes;
    free(pointer);
}

static ssize_t heard_pread(void *context, void *buffer, size_t length, uint64_t offset)
{
    const struct heard *heard = context;

    if (offset >= heard->broken_from)
        return -EIO;
    if (offset >= heard->size)
        return 0;
    if (length > heard->size - offset)
        length = heard->size - (size_t)offset;
    memcpy(buffer, heard->data + offset, length);
    return (ssize_t)length;
}

static enum scan_answer hear(void *context, const struct effect *effect)
{
    struct heard *heard = context;

    heard->count++;
    heard->calls += effect->kind == EFFECT_CALL;
    return heard->answer;
}

static struct scan_result hear_scan(struct heard *heard, const void *data, size_t size)
{
    const struct scan_request request = {.source = {.pread = heard_pread, .context = heard, .size = size},
                                         .memory = {.take = take, .give = give, .context = heard},
                                         .sink = hear,
                                         .sink_context = heard};
    struct scan_result result;

    heard->data = data;
    heard->size = size;
    scan_run(&request, &result);
    return result;
}

static const char twice[] = "\x80\x02" "cm\nf\n)R0cm\nf\n)R.";

static void test_statuses(void)
{
    struct heard heard = {.most = SIZE_MAX, .broken_from = UINT64_MAX};
    struct scan_result result = hear_scan(&heard, twice, sizeof twice - 1);

    unit_ok(result.status == SCAN_DONE && heard.count == 3 && heard.calls == 2, "done, and told everything");
    unit_ok(result.format_count == 1 && strcmp(result.formats[0], "pickle") == 0, "as a pickle");
    heard = (struct heard){.most = SIZE_MAX, .broken_from = UINT64_MAX, .answer = SCAN_SETTLED};
    hear_scan(&heard, twice, sizeof twice - 1);
    unit_ok(heard.calls == 1, "what is settled is told once");
    heard = (struct heard){.most = SIZE_MAX, .broken_from = UINT64_MAX, .answer = SCAN_STOP};
    result = hear_scan(&heard, twice, sizeof twice - 1);
    unit_ok(result.status == SCAN_STOPPED && heard.count == 1, "stopped");
    heard = (struct heard){.most = SIZE_MAX};
    result = hear_scan(&heard, twice, sizeof twice - 1);
    unit_ok(result.status == SCAN_IO && result.error == EIO, "a source that fails at once");
    result = hear_scan(&heard, "", 0);
    unit_ok(result.status == SCAN_NOT_MODEL, "an empty file");
    result = hear_scan(&heard, NULL, 0);
    unit_ok(result.status == SCAN_NOT_MODEL, "not even a file");
}

static void test_faults(void)
{
    static unsigned char large[200000];
    struct heard heard = {.most = SIZE_MAX, .broken_from = 150000};
    struct scan_result result;
    size_t most;
    bool never_done = true, given = true;

    memset(large, 'N', sizeof large);
    memcpy(large, "\x80\x02" "cm\nf\n)R", 9);
    memcpy(large + sizeof large - 1, ".", 1);
    result = hear_scan(&heard, large, sizeof large);
    unit_ok(result.status == SCAN_IO && heard.taken == 0, "a source that fails on the way");
    for (most = 0; most < 700000; most += 4096) {
        heard = (struct heard){.most = most, .broken_from = UINT64_MAX};
        result = hear_scan(&heard, large, sizeof large);
        never_done &= result.status == SCAN_MEMORY || heard.calls == 1;
        given &= heard.taken == 0;
    }
    unit_ok(never_done, "without memory it is never clean");
    unit_ok(given, "and gives back what it got");
}

static void test_nesting(void)
{
    /* pickle.loads(b"...") of pickle.loads(b"...") of ... a call. */
    unsigned char bytes[4096] = "\x80\x03" "cposix\nsystem\nX\x02\0\0\0id\x85R.";
    size_t length = 2 + 14 + 7 + 3, depth;
    struct scanned scanned;

    for (depth = 0; depth < 12; depth++) {
        unsigned char outer[4096] = "\x80\x03" "cpickle\nloads\nB";

        outer[17] = (unsigned char)length;
        outer[18] = (unsigned char)(length >> 8);
        memcpy(outer + 21, bytes, length);
        memcpy(outer + 21 + length, "\x85R.", 3);
        length += 24;
        memcpy(bytes, outer, length);
        if (depth == 0 || depth == 11) {
            scan_bytes(bytes, length, &scanned);
            unit_ok(depth ? scanned_has(&scanned, "opaque", "nesting-limit", NULL)
                          : scanned_has(&scanned, "call", "posix.system", "bytes@21"),
                    depth ? "nested too deep is opaque" : "nested once is seen through");
        }
    }
}

static void test_words(void)
{
    const struct argument arguments[] = {
        {ARGUMENT_STRING, "a\"b\n\xe2\x80\xae\xff"}, {ARGUMENT_NUMBER, "3"},     {ARGUMENT_NAME, "os.system"},
        {ARGUMENT_NONE, NULL},                       {ARGUMENT_OBJECT, "m.C"},   {ARGUMENT_BYTES, "x"},
        {ARGUMENT_UNKNOWN, NULL},                    {ARGUMENT_SEQUENCE, "[1]"},
    };
    struct effect effect = {.arguments = arguments, .argument_count = 8, .argument_known = true};
    char buffer[200];
    unsigned kind;
    size_t size, length;
    bool fits = true, named = true;

    effect_render_arguments(&effect, buffer, sizeof buffer);
    unit_ok(strcmp(buffer, "\"a\\\"b\\x0a\\xe2\\x80\\xae\\xff\", 3, os.system, None, <m.C>, b\"x\", ?, [1]") == 0,
            "arguments as people read them");
    for (size = 1; size < 100; size++) {
        memset(buffer, 'z', sizeof buffer);
        length = effect_render_arguments(&effect, buffer, size);
        fits &= length < size && buffer[length] == '\0' && buffer[size] == 'z';
    }
    unit_ok(fits, "cut to any size");
    for (kind = 0; kind < EFFECT_KINDS; kind++)
        named &= effect_kind_find(effect_kind_name(kind), strlen(effect_kind_name(kind))) == kind;
    unit_ok(named && effect_kind_find("cal", 3) == EFFECT_KINDS, "kinds by name");
    unit_ok(effect_revision_pinned("0123456789abcdefABCDEF012345678901234567") && !effect_revision_pinned("main") &&
                !effect_revision_pinned(NULL) && !effect_revision_pinned("0123456789abcdefABCDEF01234567890123456g"),
            "pinned revisions");
}

static void test_bids(void)
{
    static const unsigned char elf[64] = "\x7f"
                                         "ELF\2\1\1",
                               png[64] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", json[] = "{\"a\": 1}";

    unit_ok(scan_bid(elf, sizeof elf, elf, sizeof elf, 1 << 20) == SCAN_BID_NONE, "no bid for ELF");
    unit_ok(scan_bid(png, sizeof png, png, sizeof png, 1 << 20) == SCAN_BID_NONE, "nor for PNG");
    unit_ok(scan_bid(json, sizeof json - 1, json, sizeof json - 1, sizeof json - 1) == SCAN_BID_CONFIG,
            "JSON may be a config");
    unit_ok(scan_bid((const unsigned char *)twice, 9, (const unsigned char *)twice, 9, 1 << 20) & SCAN_BID_CONTENT,
            "the beginning of a pickle bids");
    unit_ok(scan_bid(NULL, 0, NULL, 0, 0) == SCAN_BID_NONE, "nothing bids nothing");
}

int main(void)
{
    test_statuses();
    test_faults();
    test_nesting();
    test_words();
    test_bids();
    return unit_done();
}
