/* What lies beside a model: by name where Python goes by names, by content otherwise. And programs that hold
 * a model. */
#include "told.h"

#include <string.h>

static struct bytes bytes;

static const char *beside(const char *path, const char *text)
{
    bytes.length = 0;
    bytes_text(&bytes, text);
    return told_beside(&bytes, path);
}

static void test_sources(void)
{
    check_equal(beside("/m/modeling.py", "print(1)\n"), "is python\ncode python-source/modeling @0\n", "a module");
    check_equal(beside("/m/torch/__init__.py", "x = 1\n"), "is python\ncode python-source/torch @0\n", "a package");
    check_equal(beside("modeling.py", "x = 1\n"), "is python\ncode python-source/modeling @0\n", "without a folder");
    check_equal(beside("__init__.py", "x = 1\n"), "is python\ncode python-source/__init__ @0\n",
                "a package without a name");
    check_equal(beside("/m/notes.txt", "import os\n"), "not-model\n", "text");
    check_equal(told_bytes(&bytes), "not-model\n", "not beside anything");
}

static void test_path_files(void)
{
    check_equal(beside("/m/x.pth", "# comment\n\nimport os; os.system('id')\n"),
                "is python-path\ncode python-path/x @0\n", "a line that is executed");
    check_equal(beside("/m/x.pth", "/a/path\nimport\tos"), "is python-path\ncode python-path/x @0\n",
                "with a tab, at the end");
    check_equal(beside("/m/x.pth", "\xef\xbb\xbfimport os\n"), "is python-path\ncode python-path/x @0\n",
                "behind a byte order mark");
    check_equal(beside("/m/x.pth", "/a/path\nimports/of/ours\n# import os\n"), "not-model\n", "paths alone");
}

/* The head of a .pyc of 3.11, and the code object behind it. */
static void bytecode(bool header)
{
    bytes.length = 0;
    if (header) {
        bytes_le(&bytes, 3495, 2);
        bytes_text(&bytes, "\r\n");
        bytes_fill(&bytes, 16);
    }
    bytes_text(&bytes, "\xe3");
    bytes_fill(&bytes, bytes.length + 12);
    bytes_le(&bytes, 1, 4);
    bytes_le(&bytes, 0, 4);
    bytes_text(&bytes, "\xf3");
    bytes_le(&bytes, 8, 4);
    bytes_fill(&bytes, bytes.length + 40);
}

static void test_bytecode(void)
{
    bytecode(true);
    check_equal(told_beside(&bytes, "/m/__pycache__/torch.cpython-311.pyc"),
                "is python-bytecode\ncode python-bytecode/torch @0\n", "a .pyc");
    check_equal(told_beside(&bytes, "/m/torch/__pycache__/__init__.cpython-311.pyc"),
                "is python-bytecode\ncode python-bytecode/torch @0\n", "that of a package");
    check_equal(told_beside(&bytes, "/m/weights.bin"), "is python-bytecode\ncode python-bytecode/weights @0\n",
                "by another name");
    damage_all(&bytes);
    bytecode(false);
    check_equal(told_beside(&bytes, "/m/code"), "is marshal\ncode marshal @0\n", "marshalled code alone");
    bytes.data[21] = 'x';
    check_equal(told_beside(&bytes, "/m/code"), "not-model\n", "numbers that no code has");
}

static void native(const char *magic, size_t length)
{
    bytes.length = 0;
    bytes_put(&bytes, magic, length);
    bytes_fill(&bytes, 200);
}

static void test_native(void)
{
    native("\177ELF\2\1\1", 7);
    check_equal(told_beside(&bytes, "/m/json.cpython-311-x86_64-linux-gnu.so"),
                "is native\ncode native-object/json @0\n", "ELF");
    check_equal(told_bytes(&bytes), "not-model\n", "not beside anything");
    native("\xcf\xfa\xed\xfe\7", 5);
    check_equal(told_beside(&bytes, "/m/a.dylib"), "is native\ncode native-object/a @0\n", "Mach-O");
    native("\xca\xfe\xba\xbe\0\0\0\2", 8);
    check_equal(told_beside(&bytes, "/m/a"), "is native\ncode native-object/a @0\n", "Mach-O for two processors");
    native("\xca\xfe\xba\xbe\0\0\0\x34", 8);
    check_equal(told_beside(&bytes, "/m/A.class"), "not-model\n", "a class of Java");
    native("MZ", 2);
    check_equal(told_beside(&bytes, "/m/a.exe"), "not-model\n", "two letters");
    bytes.data[60] = 100;
    memcpy(bytes.data + 100, "PE\0\0", 4);
    check_equal(told_beside(&bytes, "/m/a.exe"), "is native\ncode native-object/a @0\n", "PE");
}

/* A zip with one stored member, behind a program. */
static void carrying(const char *magic, const char *name, const char *content, size_t length)
{
    native(magic, strlen(magic));
    size_t start = bytes.length, directory = 0;
    bytes_text(&bytes, "PK\3\4\12");
    bytes_fill(&bytes, start + 14);
    for (unsigned part = 0; part < 2; part++) {
        if (part == 1)
            bytes_put(&bytes, "PK\1\2\12\0\12\0\0\0\0\0\0\0\0", 16);
        bytes_le(&bytes, 0x12345678,
                 4); /* the checksum is wrong, which no reader of a plain zip holds against it here */
        bytes_le(&bytes, length, 4);
        bytes_le(&bytes, length, 4);
        bytes_le(&bytes, strlen(name), 2);
        bytes_le(&bytes, 0, 2);
        if (part == 0) {
            bytes_text(&bytes, name);
            bytes_put(&bytes, content, length);
            directory = bytes.length;
        }
    }
    bytes_fill(&bytes, bytes.length + 10);
    bytes_le(&bytes, start, 4);
    bytes_text(&bytes, name);
    size_t end = bytes.length;
    bytes_text(&bytes, "PK\5\6");
    bytes_fill(&bytes, end + 8);
    bytes_le(&bytes, 1, 2);
    bytes_le(&bytes, 1, 2);
    bytes_le(&bytes, end - directory, 4);
    bytes_le(&bytes, directory, 4);
    bytes_le(&bytes, 0, 2);
}

static void test_llamafile(void)
{
    static const char gguf[24] = "GGUF\3";
    carrying("MZqFpD='", "model.gguf", gguf, sizeof gguf);
    const char *lines = told_bytes(&bytes);
    check(strncmp(lines, "is llamafile zip gguf\n", 22) == 0, "a program that holds a GGUF");
    check_line(lines, "code llamafile @0", "and what it is");
    damage_all(&bytes);
    carrying("\177ELF\2\1\1", "model.gguf", gguf, sizeof gguf);
    check(strncmp(told_bytes(&bytes), "is llamafile zip gguf\n", 22) == 0, "the same for one system");
    carrying("MZqFpD='", "readme.txt", "text", 4);
    check_equal(told_bytes(&bytes), "not-model\n", "a program that holds something else");
}

int main(void)
{
    test_sources();
    test_path_files();
    test_bytecode();
    test_native();
    test_llamafile();
    return checks_end();
}
