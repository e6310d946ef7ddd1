/* XGBoost's models, in its three forms: recognised, because they are models. They hold trees and numbers; nothing in
 * them names a file, a function or another model.
 *
 * Facts: xgboost's doc/model.schema, src/learner.cc and src/common/json.cc: JSON and UBJSON hold one object "learner"
 * with "gradient_booster" and "objective", and "version" behind it; the binary form of releases before 3.1 begins with
 * 136 bytes of numbers (after "binf" in some), then the names of objective and booster, each behind its length in 64
 * bits. */
#include "bytes.h"
#include "reader.h"

#include <string.h>

#define FORMAT "xgboost"

#define PARAMETERS 136u /* LearnerModelParamLegacy */

static bool json_begins(const struct bid_view *view)
{
    const unsigned char *head = view->head + bytes_blank(view->head, view->head_length);
    size_t length = view->head_length - (size_t)(head - view->head);
    return bytes_begin(head, length, "{\"learner\":{\"") &&
           (bytes_hold(head, length, "\"gradient_booster\":{") ||
            bytes_hold(head, length, "\"learner_model_param\":{") ||
            (bytes_hold(view->tail, view->tail_length, "\"objective\":{\"") &&
             bytes_hold(view->tail, view->tail_length, "\"version\":[")));
}

/* A key's length has 64 bits there, which nobody else spends on it. */
static bool ubjson_begins(const unsigned char *head, size_t length)
{
    static const unsigned char start[] = "{L\0\0\0\0\0\0\0\7learner{";
    return length >= sizeof start - 1 && memcmp(head, start, sizeof start - 1) == 0;
}

static bool binary_begins(const unsigned char *head, size_t length)
{
    static const char *const boosters[] = {"gbtree", "gblinear", "dart"};
    if (bytes_begin(head, length, "binf")) {
        head += 4;
        length -= 4;
    }
    if (length < PARAMETERS + 8 + 64 + 8 + 8)
        return false;
    uint64_t objective = load_le64(head + PARAMETERS);
    if (objective < 4 || objective > 64)
        return false;
    const unsigned char *name = head + PARAMETERS + 8, *booster = name + objective;
    for (uint64_t i = 0; i < objective; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    for (size_t i = 0; i < sizeof boosters / sizeof *boosters; i++)
        if (load_le64(booster) == strlen(boosters[i]) && memcmp(booster + 8, boosters[i], strlen(boosters[i])) == 0)
            return true;
    return false;
}

static unsigned xgboost_bid(const struct bid_view *view)
{
    if (json_begins(view) || ubjson_begins(view->head, view->head_length))
        return 40;
    return binary_begins(view->head, view->head_length) ? 40 : 0;
}

/* Both texts are one object: they end with its brace. */
static bool xgboost_run(struct scan *scan, const struct source *source)
{
    unsigned char head[256], tail[64];
    size_t want = source->size < sizeof tail ? (size_t)source->size : sizeof tail;
    ssize_t got = source_read(source, head, sizeof head, 0);
    bool text = got > 0 && !binary_begins(head, (size_t)got);
    if (text && !source->streamed)
        got = source_read(source, tail, want, source->size - want);
    if (got < 0) {
        scan_failed(scan, SCAN_IO, (int)-got);
        return true;
    }
    scan_is(scan, FORMAT);
    if (source->streamed || !text)
        return true;
    while (got > 0 && bytes_blank(tail + got - 1, 1))
        got--;
    if (got == 0 || tail[got - 1] != '}')
        scan_malformed(scan, FORMAT, "xgboost-truncated", source->size, "the model breaks off");
    return true;
}

const struct format format_xgboost = {FORMAT, xgboost_bid, xgboost_run};
