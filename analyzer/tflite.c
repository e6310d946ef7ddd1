/* TensorFlow Lite: recognised, because it is a model; its operators compute, and those that are the program's own have
 * to be registered by it. Facts: tensorflow/compiler/mlir/lite/schema/schema.fbs: a FlatBuffer with the file identifier
 * "TFL3" behind the offset of its root table, which begins with the (signed) distance to its vtable. */
#include "reader.h"

#include <string.h>

static bool tflite_is(const unsigned char *head, size_t length, uint64_t size)
{
    uint32_t root;
    if (length < 8 || memcmp(head + 4, "TFL3", 4) != 0)
        return false;
    root = load_le32(head);
    return root >= 8 && size >= 4 && root <= size - 4;
}

static unsigned tflite_bid(const struct bid_view *view)
{
    return tflite_is(view->head, view->head_length, view->size) ? 40 : 0;
}

static bool tflite_run(struct scan *scan, const struct source *source)
{
    unsigned char head[8];
    ssize_t got = source_read(source, head, sizeof head, 0);
    if (got < 0)
        scan_failed(scan, SCAN_IO, (int)-got);
    if (got < 0 || !tflite_is(head, (size_t)got, source->size))
        return false;
    scan_is(scan, "tflite");
    return true;
}

const struct format format_tflite = {"tflite", tflite_bid, tflite_run};
