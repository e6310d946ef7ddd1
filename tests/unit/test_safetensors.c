/* Safetensors headers by hand: what every reader takes alike, and what they would not. */
#include "told.h"

#include <string.h>

static struct bytes bytes;

/* A file of `header`, padded to 8, and `data` bytes. */
static const char *said(const char *header, size_t data)
{
    size_t length = strlen(header), padded = (length + 7) & ~(size_t)7;
    bytes.length = 0;
    bytes_le(&bytes, padded, 8);
    bytes_text(&bytes, header);
    while (bytes.length < 8 + padded)
        bytes_text(&bytes, " ");
    bytes_fill(&bytes, bytes.length + data);
    return told_bytes(&bytes);
}

static void good(const char *header, size_t data, const char *name)
{
    check_equal(said(header, data), "is safetensors\n", name);
}

static void bad(const char *header, size_t data, const char *token, const char *name)
{
    char line[64] = "malformed ";
    const char *lines = said(header, data);
    strcat(line, token);
    check(strncmp(lines, "is safetensors\n", 15) == 0 && strstr(lines, line) && strchr(lines + 15, '\n')[1] == '\0',
          name);
}

#define A(offsets) "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" offsets "}"
#define B(offsets) "\"b\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":" offsets "}"

static void test_good(void)
{
    good("{}", 0, "nothing");
    good("{" A("[0,8]") "}", 8, "a tensor");
    damage_all(&bytes);
    good("{" B("[8,12]") "," A("[0,8]") "}", 12, "in another order");
    good("{\"__metadata__\":{\"format\":\"pt\",\"note\":\"{}\"}," A("[0,8]") "}", 8, "metadata");
    good("{\"a\":{\"data_offsets\":[0,0],\"shape\":[0,3],\"dtype\":\"F64\"}," B("[0,4]") "}", 4,
         "a tensor without elements");
    good("{\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, "a single number");
    good("{\"n\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[0,3]}}", 3, "less than a byte each");
    good("{\"n\":{\"dtype\":\"NEW\",\"shape\":[2],\"data_offsets\":[0,3]}}", 3, "a type of later times");
}

static void test_offsets(void)
{
    bad("{" A("[0,8]") "}", 7, "safetensors-offsets", "past the end");
    bad("{" A("[0,8]") "}", 9, "safetensors-offsets", "bytes behind the last");
    bad("{" A("[0,8]") "," B("[9,13]") "}", 13, "safetensors-offsets", "a hole");
    bad("{" A("[0,8]") "," B("[4,8]") "}", 8, "safetensors-offsets", "an overlap");
    bad("{" A("[0,8]") "," B("[0,4]") ","
                                      "\"c\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[8,12]}}",
        16, "safetensors-offsets", "as many bytes, but one part twice and one never");
    bad("{" A("[8,0]") "}", 8, "safetensors-offsets", "the end before the beginning");
    bad("{" A("[0,18446744073709551616]") "}", 8, "safetensors-tensor", "an offset of more than 64 bits");
}

static void test_names(void)
{
    bad("{" A("[0,8]") "," A("[8,16]") "}", 16, "safetensors-duplicate-key", "a tensor twice");
    bad("{" A("[0,8]") ",\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16,
        "safetensors-duplicate-key", "twice, once in escapes");
    bad("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
        "safetensors-duplicate-key", "two types");
    bad("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "safetensors-duplicate-key", "two notes of one name");
}

static void test_shapes(void)
{
    bad("{" A("[0,4]") "}", 4, "safetensors-tensor", "less than the shape asks for");
    bad("{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "safetensors-tensor",
        "a product that wraps");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", 8, "safetensors-tensor",
        "less than nothing");
    bad("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "safetensors-tensor", "no shape");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", 8, "safetensors-tensor", "three offsets");
    bad("{\"a\":[1]}", 0, "safetensors-tensor", "a list for a tensor");
    bad("{\"__metadata__\":{\"a\":1}}", 0, "safetensors-tensor", "a number in the metadata");
    bad("{\"a\":\"b\"}", 0, "safetensors-tensor", "a text for a tensor");
    bad("{\"a\":{\"dtype\":\"F32\" \"shape\"}}", 0, "safetensors-header", "no JSON");
}

static void test_sizes(void)
{
    said("{" A("[0,8]") "," B("[8,12]") "}", 12);
    bytes.data[4] = 1;
    check_equal(told_bytes(&bytes), "is safetensors\nmalformed safetensors-header-size @0\n",
                "a header of more than 100 MB");
    said("{" A("[0,8]") "," B("[8,12]") "}", 12);
    bytes.length = 100;
    check_equal(told_bytes(&bytes), "is safetensors\nmalformed safetensors-header-size @0\n",
                "a file that ends in its header");
    bytes.length = 30;
    check_equal(told_bytes(&bytes), "not-model\n", "too little to tell");
    bytes.length = 0;
    bytes_text(&bytes, "\12\0\0\0\0\0\0\0");
    bytes_le(&bytes, 10, 8);
    bytes_text(&bytes, "{\"a\": 1} x");
    check_equal(told_bytes(&bytes), "not-model\n", "another format's length and text");
}

int main(void)
{
    test_good();
    test_offsets();
    test_names();
    test_shapes();
    test_sizes();
    return checks_end();
}
