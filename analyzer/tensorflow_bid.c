/* What tells a SavedModel and a GraphDef from other files. */
#include "tensorflow.h"

static const struct protobuf_shape info_shape = {1u << 2 | 1u << 3 | 1u << 8,
                                                 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6, 1u << 7};
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

/* The first field of a message if it is `number` and holds bytes: fills `field`, and `bytes` and `size` become its
 * content. */
static bool first_field(const unsigned char **bytes, size_t *size, unsigned number, struct protobuf_view *field)
{
    if (!protobuf_look(*bytes, *size, 0, field) || !field_fits(field, number, UINT64_MAX) || field->content > *size)
        return false;
    *bytes += field->content;
    *size = field_seen(field, *size);
    return true;
}

/* Evidence in a library: a function that begins with its signature, and this with its name and an argument, which has
 * a name. */
static int library_evidence(const unsigned char *bytes, size_t size)
{
    struct protobuf_view field, argument;
    const unsigned char *name;
    size_t seen;
    if (!first_field(&bytes, &size, 1, &field) || !first_field(&bytes, &size, 1, &field))
        return 0;
    name = bytes;
    seen = size;
    if (!first_field(&name, &seen, 1, &field) || field.length != seen || !protobuf_is_text(name, seen) ||
        !protobuf_look(bytes, size, field.content + seen, &argument) ||
        (argument.number != 2 && argument.number != 3) || argument.wire != WIRE_BYTES || argument.content > size)
        return 0;
    name = bytes + argument.content;
    seen = field_seen(&argument, size);
    return first_field(&name, &seen, 1, &field) && field.length == seen && protobuf_is_text(name, seen) ? 32 : 0;
}

/* Evidence in the nodes of a graph: each has a name and the name of an operator, in this order. Versions and
 * functions may stand before them. */
static int nodes_evidence(const unsigned char *bytes, size_t size, uint64_t length)
{
    struct protobuf_view node, name, operator;
    int evidence = 0;
    for (size_t at = 0; evidence < 64 && protobuf_look(bytes, size, at, &node);
         at = node.content + (size_t)node.length) {
        if (node.number != 1 && (node.wire != WIRE_BYTES || node.length <= size - node.content))
            continue;
        if (!field_fits(&node, 1, length))
            return node.number == 1   ? -1
                   : node.number == 2 ? evidence + library_evidence(bytes + node.content, size - node.content)
                                      : evidence;
        const unsigned char *content = bytes + node.content;
        size_t seen = field_seen(&node, size);
        if (!protobuf_look(content, seen, 0, &name) || name.length > seen ||
            !protobuf_look(content, seen, name.content + (size_t)name.length, &operator) || operator.content >= seen)
            return evidence;
        char first = (char)content[operator.content];
        if (!field_fits(&name, 1, node.length) || !field_fits(&operator, 2, node.length) || operator.length > 100 ||
            !((first >= 'A' && first <= 'Z') || first == '_') ||
            protobuf_evidence(&node_shape, content, seen, node.length) < 0)
            return -1;
        evidence += 16;
        if (node.length <= size - node.content)
            continue;
        bool constant = operator.length == 5 && seen - operator.content >= 5 &&
                        memcmp(content + operator.content, "Const", 5) == 0;
        return constant ? evidence + 16 : evidence; /* a large one fills what is seen */
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
            protobuf_look(content, seen, field.content + (size_t)field.length, &next) &&
            (next.number < 2 || next.number > 7))
            return 0;
        return evidence >= 4 ? 24 + (unsigned)evidence : 0;
    }
    if (!field_fits(&field, 2, meta.length))
        return 0;
    int evidence = nodes_evidence(content + field.content, field_seen(&field, seen), field.length);
    return evidence >= 16 ? 24 + (unsigned)evidence : 0;
}

/* A MetaGraphDef by itself begins with the information about itself, and this with the definitions of its operators. */
unsigned meta_graph_bid(const struct bid_view *view)
{
    struct protobuf_view info, list, operator, name;
    const unsigned char *bytes = view->head;
    size_t size = view->head_length;
    unsigned evidence = 0;
    if (!first_field(&bytes, &size, 1, &info) || info.length > view->size || !first_field(&bytes, &size, 2, &list))
        return 0;
    for (size_t at = 0; evidence < 64 && protobuf_look(bytes, size, at, &operator);
         at = operator.content + (size_t)operator.length) {
        if (!field_fits(&operator, 1, list.length) || operator.content > size ||
            !protobuf_look(bytes + operator.content, field_seen(&operator, size), 0, &name) ||
            !field_fits(&name, 1, operator.length) || name.length > 100 || operator.content + name.content >= size)
            return 0;
        unsigned char first = bytes[operator.content + name.content];
        if (!((first >= 'A' && first <= 'Z') || first == '_'))
            return 0;
        evidence += 16;
        if (operator.length > size - operator.content)
            break;
    }
    return evidence >= 32 ? evidence : 0;
}
