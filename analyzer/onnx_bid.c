/* Evidence that bytes are ONNX's. Protobuf has no magic number: a file bids when all of its head reads as ModelProto
 * does. */
#include "onnx_bid.h"
#include "protobuf.h"

#include <string.h>

static const struct protobuf_shape node_shape = {1u << 5 | 1u << 9 | 1u << 10,
                                                 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 7 | 1u << 8, 0};
static const struct protobuf_shape tensor_shape = {1u << 3 | 1u << 9 | 1u << 13 | 1u << 16, 1u << 8,
                                                   1u << 2 | 1u << 14};
static const struct protobuf_shape value_shape = {1u << 2 | 1u << 4, 1u << 1, 0};
static const struct protobuf_shape opset_shape = {0, 1u << 1, 1u << 2};

static int graph_evidence(const unsigned char *bytes, size_t size, uint64_t length)
{
    struct protobuf_view field;
    size_t at = 0;
    int evidence = 0;
    while (at < size && evidence < 64) {
        if (!protobuf_look(bytes, size, at, &field))
            return size == length ? -1 : evidence;
        if (field.wire != WIRE_BYTES || field.content > length || field.length > length - field.content)
            return -1;
        const unsigned char *content = bytes + field.content;
        size_t seen = field.length < size - field.content ? (size_t)field.length : size - field.content;
        int inside = 0;
        switch (field.number) {
        case 1:
            inside = protobuf_evidence(&node_shape, content, seen, field.length);
            break;
        case 2:
            inside = protobuf_is_text(content, seen) ? 4 : -1;
            break;
        case 5:
            inside = protobuf_evidence(&tensor_shape, content, seen, field.length);
            break;
        case 11:
        case 12:
        case 13:
            inside = protobuf_evidence(&value_shape, content, seen, field.length);
            break;
        default: /* documentation, quantization, sparse_initializer, metadata, and what later versions add */
            inside = field.number <= 16 ? 0 : -1;
        }
        if (inside < 0)
            return -1;
        evidence += inside;
        if (field.length > size - field.content)
            break;
        at = field.content + (size_t)field.length;
    }
    return evidence;
}

/* Evidence in one top-level field of which `seen` bytes are visible; -1: none of ModelProto's. */
static int field_evidence(const struct protobuf_view *field, const unsigned char *content, size_t seen)
{
    switch (field->number) {
    case 1:
        return field->wire == WIRE_VARINT && field->value >= 1 && field->value <= 0xff ? 8 : -1;
    case 2:
    case 3:
    case 4:
        return field->wire == WIRE_BYTES && protobuf_is_text(content, seen) ? 4 : -1;
    case 5:
        return field->wire == WIRE_VARINT ? 0 : -1;
    case 6:
        /* Documentation has lines, but no zero bytes. When it fills the view it is what there is to go by. */
        if (field->wire != WIRE_BYTES || memchr(content, 0, seen))
            return -1;
        return seen >= SCAN_HEAD / 4 ? 16 : 0;
    case 7:
        return field->wire == WIRE_BYTES ? graph_evidence(content, seen, field->length) : -1;
    case 8:
        return field->wire == WIRE_BYTES ? protobuf_evidence(&opset_shape, content, seen, field->length) : -1;
    default:
        return 0;
    }
}

unsigned onnx_bid(const struct bid_view *view)
{
    struct protobuf_view field;
    size_t at = 0;
    int evidence = 0;
    uint32_t seen_fields = 0;
    while (at < view->head_length && protobuf_look(view->head, view->head_length, at, &field)) {
        size_t room = view->head_length - field.content;
        int found;
        if (field.length > view->size - field.content)
            return 0;
        found = field_evidence(&field, view->head + field.content, field.length < room ? (size_t)field.length : room);
        if (found < 0)
            return 0;
        /* Several of the same are worth one. */
        if (field.number < 32 && !(seen_fields & 1u << field.number))
            evidence += found;
        if (field.number < 32)
            seen_fields |= 1u << field.number;
        if (field.length > room)
            break;
        at = field.content + (size_t)field.length;
    }
    /* A graph, or what is long and may stand before one behind the version. */
    bool graph = seen_fields & 1u << 7, version = seen_fields & 1u << 1, text = seen_fields & 1u << 6;
    return evidence >= 24 && (graph || (version && text)) ? (unsigned)evidence : 0;
}
