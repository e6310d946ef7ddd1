/* What tells a SavedModel and a GraphDef from other files. */
#include "tensorflow.h"

static const struct protobuf_shape info_shape = {1u << 2 | 1u << 3 | 1u << 8, 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6, 1u << 7};
static const struct protobuf_shape node_shape = {1u << 5 | 1u << 6 | 1u << 7, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4, 0};

static bool field_fits(const struct protobuf_view *field, unsigned number, uint64_t length)
{
    return field->number == number && field->wire == WIRE_BYTES && field->content <= length &&
           field->length <= length - field->content;
}

static size_t field_seen(const struct protobuf_view *field, size_t size)
{
    return field->length < size - field->content ? (size_t)field->length : size - field->content;
}

/* Evidence in the nodes that a graph begins with: each has a name and the name of an operator, in this order. */
static int nodes_evidence(const unsigned char *bytes, size_t size, uint64_t length)
{
    struct protobuf_view node, name, operator;
    int evidence = 0;
    for (size_t at = 0; evidence < 64 && protobuf_look(bytes, size, at, &node); at = node.content + (size_t)node.length) {
        if (!field_fits(&node, 1, length))
            return node.number == 1 ? -1 : evidence;
        const unsigned char *content = bytes + node.content;
        size_t seen = field_seen(&node, size);
        if (!protobuf_look(content, seen, 0, &name) || name.length > seen ||
            !protobuf_look(content, seen, name.content + (size_t)name.length, &operator) || operator.content >= seen)
            return evidence;
        char first = (char)content[operator.content];
        if (!field_fits(&name, 1, node.length) || !field_fits(&operator, 2, node.length) || operator.length > 100 ||
            !((first >= 'A' && first <= 'Z') || first == '_') || protobuf_evidence(&node_shape, content, seen, node.length) < 0)
            return -1;
        evidence += 16;
        if (node.length > size - node.content)
            break;
    }
    return evidence;
}

unsigned graph_bid(const struct bid_view *view)
{
    int evidence = nodes_evidence(view->head, view->head_length, view->size);
    return evidence >= 32 ? (unsigned)evidence : 0;
}

/* Version 1, then a MetaGraphDef of which the information about itself comes first, or the graph. */
unsigned saved_model_bid(const struct bid_view *view)
{
    struct protobuf_view meta, field;
    if (view->head_length < 8 || view->head[0] != 8 || view->head[1] != 1 ||
        !protobuf_look(view->head, view->head_length, 2, &meta) || !field_fits(&meta, 2, view->size))
        return 0;
    const unsigned char *content = view->head + meta.content;
    size_t seen = field_seen(&meta, view->head_length);
    if (!protobuf_look(content, seen, 0, &field))
        return 0;
    if (field_fits(&field, 1, meta.length)) {
        struct protobuf_view next;
        int evidence = protobuf_evidence(&info_shape, content + field.content, field_seen(&field, seen), field.length);
        /* Core ML begins alike, with a name where this has information; there more of the same follows. */
        if (field.length < seen - field.content &&
            protobuf_look(content, seen, field.content + (size_t)field.length, &next) && (next.number < 2 || next.number > 7))
            return 0;
        return evidence >= 4 ? 24 + (unsigned)evidence : 0;
    }
    if (!field_fits(&field, 2, meta.length))
        return 0;
    int evidence = nodes_evidence(content + field.content, field_seen(&field, seen), field.length);
    return evidence >= 16 ? 24 + (unsigned)evidence : 0;
}
