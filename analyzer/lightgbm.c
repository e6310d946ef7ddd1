/* LightGBM's models: text with trees, and behind them the parameters they were trained with. What those name is used
 * again only when training goes on from the model, and said for the record.
 *
 * Facts: LightGBM's src/boosting/gbdt_model_text.cpp (the first lines; "tree_sizes=" counts the bytes of each tree
 * behind the blank line that ends the header) and docs/Parameters.rst. */
#include "bytes.h"
#include "reader.h"

#include <string.h>

#define FORMAT "lightgbm"

#define LINE_MAX 1024u

/* Parameters that say where something is. */
static const struct {
    const char *key;
    enum effect_kind kind;
} places[] = {
    {"data", EFFECT_READ},
    {"valid", EFFECT_READ},
    {"input_model", EFFECT_READ},
    {"initscore_filename", EFFECT_READ},
    {"forcedsplits_filename", EFFECT_READ},
    {"forcedbins_filename", EFFECT_READ},
    {"parser_config_file", EFFECT_READ},
    {"machine_list_filename", EFFECT_READ},
    {"machines", EFFECT_CONNECT},
};

static unsigned lightgbm_bid(const struct bid_view *view)
{
    return bytes_begin(view->head, view->head_length, "tree\nversion=v") ? 40 : 0;
}

/* "[key: value]" */
static void parameter_read(struct scan *scan, const unsigned char *line, size_t length, uint64_t offset)
{
    char value[LINE_MAX];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t key = strlen(places[i].key);
        if (length < key + 5 || line[0] != '[' || memcmp(line + 1, places[i].key, key) != 0 ||
            memcmp(line + 1 + key, ": ", 2) != 0)
            continue;
        size_t start = key + 3, kept = length - start - 1;
        if (line[length - 1] != ']' || kept >= sizeof value)
            continue;
        memcpy(value, line + start, kept);
        value[kept] = '\0';
        struct effect effect = {.kind = places[i].kind, .name = value, .field = places[i].key, .offset = offset,
                                .detail = "a parameter of the training; used again only when that goes on"};
        scan_report(scan, FORMAT, &effect);
    }
}

/* Adds up the numbers of "tree_sizes=". False: they make no sense. */
static bool sizes_add(struct reader *reader, uint64_t *sum)
{
    uint64_t number = 0;
    const unsigned char *byte;
    while ((byte = reader_peek(reader, 1, NULL)) && *byte != '\n') {
        if (*byte >= '0' && *byte <= '9' && number <= UINT32_MAX) {
            number = 10 * number + (uint64_t)(*byte - '0');
        } else if (*byte == ' ' && *sum <= UINT64_MAX / 2) {
            *sum += number;
            number = 0;
        } else if (*byte != '\r') {
            return false;
        }
        reader_skip(reader, 1);
    }
    *sum += number;
    return byte != NULL;
}

/* Reads the header up to the blank line behind it. False: it breaks off. */
static bool header_read(struct reader *reader, uint64_t *trees)
{
    uint64_t length;
    size_t got;
    const unsigned char *start;
    while ((start = reader_rest(reader, 11, &got))) {
        if (start[0] == '\n' || start[0] == '\r')
            return reader_skip_line(reader, &length);
        if (bytes_begin(start, got, "tree_sizes=") && (!reader_skip(reader, 11) || !sizes_add(reader, trees)))
            return false;
        if (!reader_skip_line(reader, &length))
            return false;
    }
    return false;
}

static bool lightgbm_run(struct scan *scan, const struct source *source)
{
    struct reader reader;
    const unsigned char *line;
    uint64_t trees = 0, skipped, start;
    size_t length;
    scan_is(scan, FORMAT);
    if (!reader_open(&reader, scan->arena, source, 0, source->size)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    bool whole = header_read(&reader, &trees) && reader_skip(&reader, trees);
    if (!whole && !reader.error)
        scan_malformed(scan, FORMAT, "lightgbm-truncated", reader.position, "the file ends within its trees");
    for (start = reader.position; whole && !scan->stopped; start = reader.position) {
        if (reader_line(&reader, LINE_MAX, &line, &length))
            parameter_read(scan, line, length, start);
        else if (!reader_skip_line(&reader, &skipped))
            break;
    }
    if (reader.error)
        scan_failed(scan, SCAN_IO, reader.error);
    return true;
}

const struct format format_lightgbm = {FORMAT, lightgbm_bid, lightgbm_run};
