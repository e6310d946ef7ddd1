#include "told.h"

#include "../../analyzer/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_put(struct bytes *bytes, const void *data, size_t length)
{
    if (length > sizeof bytes->data - bytes->length) {
        fprintf(stderr, "struct bytes is too small for this test\n");
        exit(2);
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

void bytes_text(struct bytes *bytes, const char *text)
{
    bytes_put(bytes, text, strlen(text));
}

void bytes_le(struct bytes *bytes, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)(value >> 8 * i);
        bytes_put(bytes, &byte, 1);
    }
}

void bytes_be(struct bytes *bytes, uint64_t value, unsigned size)
{
    for (unsigned i = size; i-- > 0;) {
        unsigned char byte = (unsigned char)(value >> 8 * i);
        bytes_put(bytes, &byte, 1);
    }
}

void bytes_fill(struct bytes *bytes, size_t upto)
{
    while (bytes->length < upto)
        bytes_put(bytes, "", 1);
}

static char text[1 << 16];
static size_t text_length;

static void say(const char *piece)
{
    size_t length = strlen(piece);
    if (length > sizeof text - 1 - text_length)
        length = sizeof text - 1 - text_length;
    memcpy(text + text_length, piece, length);
    text_length += length;
    text[text_length] = '\0';
}

static enum scan_answer listen(void *context, const struct effect *effect)
{
    char piece[1024];
    (void)context;
    say(effect_kind_name(effect->kind));
    if (effect->name) {
        say(" ");
        say(effect->name);
    }
    if (effect->argument_count) {
        effect_render_arguments(effect, piece, sizeof piece);
        say("(");
        say(piece);
        say(")");
    }
    if (effect->field) {
        say(" ");
        say(effect->field);
    }
    snprintf(piece, sizeof piece, " @%llu\n", (unsigned long long)effect->offset);
    say(piece);
    return SCAN_GO_ON;
}

static void *take(void *context, size_t bytes)
{
    size_t *taken = context;
    *taken += bytes;
    return calloc(1, bytes);
}

static void give(void *context, void *pointer, size_t bytes)
{
    size_t *taken = context;
    *taken -= bytes;
    free(pointer);
}

static void say_result(const struct scan_result *result)
{
    static const char *const statuses[] = {"", "not-model\n", "stopped\n", "io\n", "memory\n"};
    char effects[sizeof text];
    memcpy(effects, text, text_length + 1);
    text_length = 0;
    if (result->format_count) {
        say("is");
        for (size_t i = 0; i < result->format_count; i++) {
            say(" ");
            say(result->formats[i]);
        }
        say("\n");
    }
    say(effects);
    say(statuses[result->status]);
}

/* `path`: of a file that lies beside weights, or NULL. */
static const char *tell(const struct format *format, const unsigned char *data, size_t length, const char *path)
{
    unsigned char *copy = malloc(length ? length : 1);
    if (!copy)
        exit(2);
    if (length)
        memcpy(copy, data, length);
    struct source_memory memory = {copy, length};
    size_t taken = 0;
    struct scan_request request = {.source = source_from_memory(&memory),
                                   .memory = {.take = take, .give = give, .context = &taken},
                                   .sink = listen,
                                   .path = path,
                                   .beside = path != NULL};
    struct scan_result result = {.status = SCAN_DONE};
    text_length = 0;
    text[0] = '\0';
    if (format) {
        struct arena arena;
        struct scan scan = {.request = &request, .result = &result, .arena = &arena};
        arena_open(&arena, &request.memory);
        if (!format->run(&scan, &request.source) && !scan.stopped)
            result.status = SCAN_NOT_MODEL;
        arena_close(&arena);
    } else {
        scan_run(&request, &result);
    }
    free(copy);
    say_result(&result);
    if (taken)
        say("memory kept\n");
    return text;
}

const char *told(const unsigned char *data, size_t length)
{
    return tell(NULL, data, length, NULL);
}

const char *told_bytes(const struct bytes *bytes)
{
    return tell(NULL, bytes->data, bytes->length, NULL);
}

const char *told_by(const struct format *format, const struct bytes *bytes)
{
    return tell(format, bytes->data, bytes->length, NULL);
}

const char *told_beside(const struct bytes *bytes, const char *path)
{
    return tell(NULL, bytes->data, bytes->length, path);
}

bool bids(const struct format *format, const struct bytes *bytes)
{
    size_t head = bytes->length < SCAN_HEAD ? bytes->length : SCAN_HEAD;
    size_t tail = bytes->length < SCAN_TAIL ? bytes->length : SCAN_TAIL;
    struct bid_view view = {bytes->data, head, bytes->data + (bytes->length - tail), tail, bytes->length};
    return format->bid(&view) >= BID_RUN;
}

void damage_all(const struct bytes *bytes)
{
    static struct bytes work;
    uint64_t dice = 0x9e3779b97f4a7c15u;
    for (size_t length = 0; length < bytes->length; length += 1 + bytes->length / 2000)
        (void)told(bytes->data, length);
    for (unsigned round = 0; round < 1000; round++) {
        work = *bytes;
        for (size_t changes = bytes->length / 100 + 1; changes > 0; changes--) {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            work.data[(size_t)(dice >> 8) % bytes->length] = (unsigned char)dice;
        }
        (void)told(work.data, work.length);
    }
}

static int checks, failures;

void check(bool passed, const char *name)
{
    checks++;
    failures += !passed;
    printf("%sok %d - %s\n", passed ? "" : "not ", checks, name);
}

static void show(const char *label, const char *lines)
{
    printf("# %s\n", label);
    for (const char *line = lines; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n'))
        printf("#   %.*s\n", (int)strcspn(line, "\n"), line);
}

void check_line(const char *lines, const char *line, const char *name)
{
    size_t length = strlen(line);
    bool found = false;
    for (const char *at = strstr(lines, line); at && !found; at = strstr(at + 1, line))
        found = (at == lines || at[-1] == '\n') && at[length] == '\n';
    check(found, name);
    if (!found) {
        show("wanted", line);
        show("told", lines);
    }
}

void check_equal(const char *lines, const char *expected, const char *name)
{
    bool equal = strcmp(lines, expected) == 0;
    check(equal, name);
    if (!equal) {
        show("wanted", expected);
        show("told", lines);
    }
}

int checks_end(void)
{
    printf("1..%d\n", checks);
    return failures != 0;
}
