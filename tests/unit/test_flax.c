/* Flax checkpoints by hand: arrays, scalars, chunks, bytes that hold a pickle, and MessagePack that is none
 * of Flax's. */
#include "told.h"

#include <string.h>

/* {"params": {"w": array}} with the array's bytes ending the file. */
static void model(struct bytes *bytes, unsigned extension)
{
    static const unsigned char array[] = "\x93\x91\x02\xa7" "float32" "\xc4\x08";
    bytes->length = 0;
    bytes_text(bytes, "\x81\xa6params\x81\xa1w\xc7");
    bytes_be(bytes, sizeof array - 1 + 8, 1);
    bytes_be(bytes, extension, 1);
    bytes_put(bytes, array, sizeof array - 1);
    bytes_fill(bytes, bytes->length + 8);
}

static void check_said(struct bytes *bytes, const char *expected, const char *name)
{
    check_equal(told_bytes(bytes), expected, name);
}

static void test_models(void)
{
    static struct bytes bytes;
    model(&bytes, 1);
    check(bids(&format_flax, &bytes), "an array bids");
    check_said(&bytes, "is flax-msgpack\n", "an array");
    bytes.length--;
    check_said(&bytes, "is flax-msgpack\nmalformed flax-truncated @11\n", "an array cut short");
    model(&bytes, 1);
    bytes_text(&bytes, "x");
    check_said(&bytes, "is flax-msgpack\nmalformed flax-trailing @35\n", "something behind it");
    model(&bytes, 3);
    check_said(&bytes, "is flax-msgpack\n", "a scalar");
    damage_all(&bytes);
    bytes.length = 0;
    bytes_text(&bytes, "\x81\xa1w\x83\xb9__msgpack_chunked_array__\xc3\xa5shape\x81\xa1"
                       "0\x05\xa6"
                       "chunks\x81\xa1"
                       "0\xc0");
    check_said(&bytes, "is flax-msgpack\n", "an array in chunks");
}

static void test_bytes_inside(void)
{
    static struct bytes bytes;
    static const char pickle[] = "cos\nsystem\n(S'id'\ntR.";
    model(&bytes, 1);
    bytes.data[0] = 0x82;
    bytes_text(&bytes, "\xa5note!\xc4");
    bytes_be(&bytes, sizeof pickle - 1, 1);
    bytes_text(&bytes, pickle);
    check_line(told_bytes(&bytes), "call os.system(\"id\") @19", "a pickle among the values");
}

static void test_others(void)
{
    static struct bytes bytes;
    model(&bytes, 5);
    check(!bids(&format_flax, &bytes), "an extension of somebody else");
    model(&bytes, 1);
    bytes.data[13] = 0x92;
    check(!bids(&format_flax, &bytes), "an extension that is no array");
    bytes.length = 0;
    bytes_text(&bytes, "\x82\xa4name\xa5value\xa4list\x93\x01\x02\x03");
    check_said(&bytes, "not-model\n", "plain MessagePack");
    bytes.length = 0;
    bytes_text(&bytes, "\x81\xa6params\xc1");
    check(!bids(&format_flax, &bytes), "a byte that begins nothing");
    static const char *const heads[] = {
        "\xde\x00\x01", "\xdf\x00\x00\x00\x01",
    };
    for (size_t i = 0; i < 2; i++) {
        static struct bytes wide;
        model(&bytes, 1);
        wide.length = 0;
        bytes_put(&wide, heads[i], 3 + 2 * i);
        bytes_put(&wide, bytes.data + 1, bytes.length - 1);
        check_said(&wide, "is flax-msgpack\n", "a longer way to count");
    }
}

int main(void)
{
    test_models();
    test_bytes_inside();
    test_others();
    return checks_end();
}
