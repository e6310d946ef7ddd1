/* Core ML's models by hand, and what begins like one. */
#include "told.h"

#include <string.h>

static void message(struct bytes *bytes, unsigned number, const char *content, size_t length)
{
    if (number < 16)
        bytes_le(bytes, number << 3 | 2, 1);
    else
        bytes_le(bytes, (uint64_t)(((number << 3 | 2) & 0x7f) | 0x80) | (uint64_t)(number >> 4) << 8, 2);
    bytes_le(bytes, length, 1);
    bytes_put(bytes, content, length);
}

/* A version, a description with one input "x", and a neural network of `network` bytes. */
static void model(struct bytes *bytes, const char *description, size_t length, size_t network)
{
    static const char zeros[100];
    bytes->length = 0;
    bytes_text(bytes, "\x08\x04");
    message(bytes, 2, description, length);
    message(bytes, 500, zeros, network);
}

static const char input[] = "\x0a\x07\x0a\x01x\x1a\x02\x22\x00";

int main(void)
{
    static struct bytes bytes;
    model(&bytes, input, sizeof input - 1, 20);
    check_equal(told_bytes(&bytes), "is coreml\n", "a network");
    damage_all(&bytes);
    bytes.length -= 5;
    check_equal(told_bytes(&bytes), "is coreml\nmalformed coreml-damaged @16\n", "cut short");
    model(&bytes, "\x0a\x02\x1a\x00", 4, 20);
    check(!bids(&format_coreml, &bytes), "an input without a name");
    model(&bytes, "\x12\x03" "abc", 5, 20);
    check(!bids(&format_coreml, &bytes), "a description of something else");
    model(&bytes, "by hand", 7, 20);
    check(!bids(&format_coreml, &bytes), "a text where the description stands");
    bytes.length = 0;
    bytes_text(&bytes, "\x08\x04");
    message(&bytes, 2, input, sizeof input - 1);
    message(&bytes, 7, "x", 1);
    check(!bids(&format_coreml, &bytes), "no kind of model behind it");
    return checks_end();
}
