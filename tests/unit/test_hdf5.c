/* HDF5 by hand: old and new object headers, what leads to other files, attributes, and structures that come back to
 * themselves. What the real library writes is tested from Python. */
#include "told.h"

#include <string.h>

static void superblock(struct bytes *bytes, uint64_t root)
{
    bytes->length = 0;
    bytes_text(bytes, "\x89HDF\r\n\x1a\n");
    bytes_le(bytes, 2, 1);
    bytes_le(bytes, 8, 1); /* bytes of addresses and lengths */
    bytes_le(bytes, 8, 1);
    bytes_le(bytes, 0, 1);
    bytes_le(bytes, 0, 8);
    bytes_le(bytes, UINT64_MAX, 8);
    bytes_le(bytes, 4096, 8);
    bytes_le(bytes, root, 8);
    bytes_le(bytes, 0, 4);
    bytes_fill(bytes, (size_t)root);
}

/* An object header of version 2 whose messages have `length` bytes. */
static void header(struct bytes *bytes, unsigned length)
{
    bytes_text(bytes, "OHDR");
    bytes_le(bytes, 2, 1);
    bytes_le(bytes, 1, 1); /* two bytes for the length */
    bytes_le(bytes, length, 2);
}

static void message(struct bytes *bytes, unsigned type, unsigned length)
{
    bytes_le(bytes, type, 1);
    bytes_le(bytes, length, 2);
    bytes_le(bytes, 0, 1);
}

static void external_link(struct bytes *bytes, const char *file)
{
    unsigned length = (unsigned)strlen(file) + 1 + 3; /* and "/x" */
    message(bytes, 6, 3 + 1 + 1 + 2 + 1 + length);
    bytes_le(bytes, 1, 1);
    bytes_le(bytes, 8, 1); /* the type is stated */
    bytes_le(bytes, 64, 1);
    bytes_le(bytes, 1, 1);
    bytes_text(bytes, "n");
    bytes_le(bytes, length + 1, 2);
    bytes_le(bytes, 0, 1);
    bytes_put(bytes, file, strlen(file) + 1);
    bytes_put(bytes, "/x", 3);
}

static void hard_link(struct bytes *bytes, const char *name, uint64_t address)
{
    message(bytes, 6, 2 + 1 + (unsigned)strlen(name) + 8);
    bytes_le(bytes, 1, 1);
    bytes_le(bytes, 0, 1);
    bytes_le(bytes, strlen(name), 1);
    bytes_text(bytes, name);
    bytes_le(bytes, address, 8);
}

/* A fixed string. */
static void attribute(struct bytes *bytes, const char *name, const char *text)
{
    unsigned name_length = (unsigned)strlen(name) + 1, length = (unsigned)strlen(text);
    message(bytes, 12, 9 + name_length + 8 + 4 + length);
    bytes_le(bytes, 3, 1);
    bytes_le(bytes, 0, 1);
    bytes_le(bytes, name_length, 2);
    bytes_le(bytes, 8, 2);
    bytes_le(bytes, 4, 2);
    bytes_le(bytes, 0, 1);
    bytes_put(bytes, name, name_length);
    bytes_le(bytes, 0x13, 4); /* string, version 1 */
    bytes_le(bytes, length, 4);
    bytes_le(bytes, 2, 4);    /* scalar */
    bytes_text(bytes, text);
}

static void close_header(struct bytes *bytes, size_t start)
{
    size_t length = bytes->length - start - 8;
    bytes->data[start + 6] = (unsigned char)length;
    bytes->data[start + 7] = (unsigned char)(length >> 8);
    bytes_le(bytes, 0, 4);
}

static void test_links(void)
{
    static struct bytes bytes;
    superblock(&bytes, 64);
    header(&bytes, 0);
    external_link(&bytes, "/etc/passwd");
    hard_link(&bytes, "self", 64);
    hard_link(&bytes, "group", 512);
    close_header(&bytes, 64);
    bytes_fill(&bytes, 512);
    header(&bytes, 0);
    external_link(&bytes, "next.h5");
    hard_link(&bytes, "back", 64);
    hard_link(&bytes, "nowhere", 1ull << 60);
    close_header(&bytes, 512);
    check(bids(&format_hdf5, &bytes), "it bids");
    check_equal(told_bytes(&bytes), "is hdf5\nread /etc/passwd @76\nread next.h5 @524\n",
                "external links, hard ones in circles and to nowhere");
    damage_all(&bytes);

    /* Behind a user block, addresses count from the superblock. */
    static struct bytes moved;
    bytes_text(&moved, "#!/bin/sh\n");
    bytes_fill(&moved, 1024);
    bytes_put(&moved, bytes.data, bytes.length);
    check(bids(&format_hdf5, &moved) && strstr(told_bytes(&moved), "read next.h5 @1548\n"), "behind a user block");
}

static void test_keras(void)
{
    static const char lambda[] =
        "{\"class_name\": \"Sequential\", \"config\": {\"layers\": [{\"class_name\": \"Lambda\", "
        "\"config\": {\"function\": [\"4wAA\", null, null], \"function_type\": \"lambda\"}}]}}";
    static struct bytes bytes;
    superblock(&bytes, 64);
    header(&bytes, 0);
    attribute(&bytes, "model_config", lambda);
    attribute(&bytes, "note", "cos\nsystem\n(S'id'\ntR.");
    hard_link(&bytes, "broken", 900);
    close_header(&bytes, 64);
    bytes_fill(&bytes, 1000);
    const char *lines = told_bytes(&bytes);
    check(strncmp(lines, "is keras-h5 keras", 17) == 0, "an attribute makes it Keras'");
    check(strstr(lines, "code keras-lambda config.layers[0].config.function_type @") != NULL,
          "marshalled code in the model");
    check_line(lines, "malformed hdf5-damaged @0", "what makes no sense is said of a model");
    check(strstr(lines, "call os.system(\"id\")") || strstr(lines, "call posix.system(\"id\")"),
          "a pickle in an attribute");
    damage_all(&bytes);

    superblock(&bytes, 64);
    header(&bytes, 0);
    hard_link(&bytes, "layers", 64);
    hard_link(&bytes, "vars", 64);
    external_link(&bytes, "other.h5");
    close_header(&bytes, 64);
    check(strncmp(told_bytes(&bytes), "is keras-h5\nread other.h5 @", 27) == 0, "weights as Keras keeps them");
}

/* A header of version 1 with a dataset of which the bytes, or the parts, lie elsewhere. */
static void old_header(struct bytes *bytes, unsigned type, unsigned length)
{
    bytes_le(bytes, 1, 2); /* version */
    bytes_le(bytes, 1, 2); /* messages */
    bytes_le(bytes, 1, 4);
    bytes_le(bytes, 8 + length, 4);
    bytes_le(bytes, 0, 4);
    bytes_le(bytes, type, 2);
    bytes_le(bytes, length, 2);
    bytes_le(bytes, 0, 4);
}

static void test_datasets(void)
{
    static struct bytes bytes;
    superblock(&bytes, 64);
    old_header(&bytes, 7, 40);
    bytes_le(&bytes, 1, 4); /* version */
    bytes_le(&bytes, 1, 2);
    bytes_le(&bytes, 1, 2); /* files */
    bytes_le(&bytes, 256, 8);
    bytes_le(&bytes, 8, 8); /* the name's place in the heap */
    bytes_le(&bytes, 0, 8);
    bytes_le(&bytes, 100, 8);
    bytes_fill(&bytes, 256);
    bytes_text(&bytes, "HEAP");
    bytes_le(&bytes, 0, 4);
    bytes_le(&bytes, 32, 8);
    bytes_le(&bytes, 1, 8);
    bytes_le(&bytes, 320, 8);
    bytes_fill(&bytes, 328);
    bytes_text(&bytes, "/var/raw");
    bytes_fill(&bytes, 400);
    check_equal(told_bytes(&bytes), "is hdf5\nread /var/raw @88\n", "bytes in another file");
    damage_all(&bytes);

    superblock(&bytes, 64);
    old_header(&bytes, 8, 16);
    bytes_le(&bytes, 4, 1); /* version */
    bytes_le(&bytes, 3, 1); /* virtual */
    bytes_le(&bytes, 256, 8);
    bytes_le(&bytes, 1, 4);
    bytes_fill(&bytes, 256);
    bytes_text(&bytes, "GCOL");
    bytes_le(&bytes, 1, 4);
    bytes_le(&bytes, 4096 - 256, 8);
    bytes_le(&bytes, 1, 2);
    bytes_le(&bytes, 0, 6);
    size_t length = bytes.length;
    bytes_le(&bytes, 0, 8);
    size_t start = bytes.length;
    bytes_le(&bytes, 0, 1); /* version */
    bytes_le(&bytes, 2, 8); /* entries */
    static const char *const files[] = {".", "../parts.h5"};
    for (unsigned i = 0; i < 2; i++) {
        bytes_put(&bytes, files[i], strlen(files[i]) + 1);
        bytes_put(&bytes, "d", 2);
        for (unsigned selection = 0; selection < 2; selection++) {
            bytes_le(&bytes, 3, 4); /* all, version 1 */
            bytes_le(&bytes, 1, 4);
            bytes_le(&bytes, 0, 8);
        }
    }
    bytes.data[length] = (unsigned char)(bytes.length - start);
    bytes_fill(&bytes, 4096);
    check_equal(told_bytes(&bytes), "is hdf5\nread ../parts.h5 @288\n", "parts in another file");
    damage_all(&bytes);
}

static void test_circles(void)
{
    static struct bytes bytes;
    superblock(&bytes, 64);
    old_header(&bytes, 16, 16);
    bytes_le(&bytes, 80, 8); /* continues where it stands */
    bytes_le(&bytes, 24, 8);
    bytes_fill(&bytes, 256);
    check_equal(told_bytes(&bytes), "is hdf5\n", "a header that continues in itself ends");

    superblock(&bytes, 64);
    old_header(&bytes, 17, 16);
    bytes_le(&bytes, 256, 8);
    bytes_le(&bytes, 256, 8);
    bytes_fill(&bytes, 256);
    bytes_text(&bytes, "TREE");
    bytes_le(&bytes, 0, 2);
    bytes_le(&bytes, 100, 2);
    bytes_le(&bytes, UINT64_MAX, 8);
    bytes_le(&bytes, UINT64_MAX, 8);
    for (unsigned i = 0; i < 100; i++) {
        bytes_le(&bytes, 0, 8);
        bytes_le(&bytes, 256, 8);
    }
    check_equal(told_bytes(&bytes), "is hdf5\n", "a tree of which every branch is the tree ends");
}

int main(void)
{
    test_links();
    test_keras();
    test_datasets();
    test_circles();
    return checks_end();
}
