/* Core ML's .mlmodel: recognised, because it is a model; what runs it runs on other systems.
 *
 * Facts: coremltools' Model.proto and FeatureTypes.proto: a version, a description that begins with the names and types
 * of inputs, then one of many kinds of models, all with field numbers from 200 on. Protobuf has no magic number, so
 * that a file bids when its description reads as one. */
#include "protobuf.h"

#define FORMAT "coreml"

static const struct protobuf_message model_message = {NULL, 0};

static bool field_fits(const struct protobuf_view *field, uint64_t length)
{
    return field->wire == WIRE_BYTES && field->content <= length && field->length <= length - field->content;
}

/* A feature: its name, a description for people, its type. */
static bool feature_fits(const unsigned char *bytes, size_t seen, uint64_t length)
{
    struct protobuf_view field;
    bool named = false;
    for (size_t at = 0; at < seen && protobuf_look(bytes, seen, at, &field);
         at = field.content + (size_t)field.length) {
        size_t room = seen - field.content;
        if (!field_fits(&field, length) || field.number < 1 || field.number > 3)
            return false;
        if (field.number == 1)
            named = field.length > 0 &&
                    protobuf_is_text(bytes + field.content, field.length < room ? (size_t)field.length : room);
        if (field.length > room)
            break;
    }
    return named;
}

/* How many features the description begins with; -1: it is none. */
static int description_features(const unsigned char *bytes, size_t seen, uint64_t length)
{
    struct protobuf_view field;
    int features = 0;
    for (size_t at = 0; at < seen && protobuf_look(bytes, seen, at, &field);
         at = field.content + (size_t)field.length) {
        size_t room = seen - field.content;
        bool feature = field.number == 1 || field.number == 10 || field.number == 13 || field.number == 50;
        if (!field_fits(&field, length) || !(feature || field.number == 7 || field.number == 11 || field.number == 12 ||
                                              (field.number >= 20 && field.number <= 21) || field.number == 100))
            return -1;
        if (feature &&
            !feature_fits(bytes + field.content, field.length < room ? (size_t)field.length : room, field.length))
            return -1;
        features += feature;
        if (field.length > room)
            break;
    }
    return features;
}

static unsigned coreml_bid(const struct bid_view *view)
{
    struct protobuf_view version, description, next;
    if (!protobuf_look(view->head, view->head_length, 0, &version) || version.number != 1 ||
        version.wire != WIRE_VARINT || version.value < 1 || version.value > 0xff ||
        !protobuf_look(view->head, view->head_length, version.content + (size_t)version.length, &description) ||
        description.number != 2 || !field_fits(&description, view->size))
        return 0;
    size_t room = view->head_length - description.content;
    size_t seen = description.length < room ? (size_t)description.length : room;
    int features = description_features(view->head + description.content, seen, description.length);
    if (features < 1)
        return 0;
    if (description.length >= room)
        return features >= 2 ? 32 : 0;
    if (!protobuf_look(view->head, view->head_length, description.content + seen, &next))
        return 0;
    return next.number == 10 || (next.number >= 200 && next.number <= 4000) ? 40 : 0;
}

static bool coreml_run(struct scan *scan, const struct source *source)
{
    struct protobuf *protobuf = arena_take(scan->arena, sizeof *protobuf);
    scan_is(scan, FORMAT);
    if (!protobuf || !protobuf_open(protobuf, scan->arena, source, 0, source->size, &model_message)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    enum protobuf_event event = protobuf_next(protobuf);
    while (event != PROTOBUF_FINISHED && event != PROTOBUF_FAILED)
        event = protobuf_next(protobuf);
    if (protobuf->error == PROTOBUF_ERROR_IO)
        scan_failed(scan, SCAN_IO, protobuf->reader.error);
    else if (event == PROTOBUF_FAILED)
        scan_malformed(scan, FORMAT, "coreml-damaged", protobuf->reader.position, "no valid protobuf from here on");
    return true;
}

const struct format format_coreml = {FORMAT, coreml_bid, coreml_run};
