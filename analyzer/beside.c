#include "beside.h"

#include "bytes.h"
#include "native.h"
#include "reader.h"

#include <string.h>

static bool path_ends(const char *path, const char *end)
{
    size_t length = strlen(path), end_length = strlen(end);
    return length >= end_length && strcmp(path + length - end_length, end) == 0;
}

/* Where the last part of [path, end) begins. */
static const char *part_start(const char *path, const char *end)
{
    while (end > path && end[-1] != '/')
        end--;
    return end;
}

/* "x/torch.py", "x/torch.cpython-311-x86_64-linux-gnu.so", "x/__pycache__/torch.cpython-311.pyc" and
 * "x/torch/__init__.py" are all imported as torch. */
static void module_name(const char *path, char *name, size_t size)
{
    const char *end = path + strlen(path), *start = part_start(path, end);
    if (strncmp(start, "__init__.", 9) == 0 && start > path) {
        end = start - 1;
        start = part_start(path, end);
        if ((size_t)(end - start) == strlen("__pycache__") &&
            memcmp(start, "__pycache__", (size_t)(end - start)) == 0 && start > path) {
            end = start - 1;
            start = part_start(path, end);
        }
    } else {
        const char *dot = strchr(start, '.');
        end = dot && dot > start ? dot : end;
    }
    size_t length = (size_t)(end - start) < size - 1 ? (size_t)(end - start) : size - 1;
    memcpy(name, start, length);
    name[length] = '\0';
}

/* Lib/importlib/_bootstrap_external.py: a 16-bit magic number, "\r\n", then in 3.7 and later 12 bytes, before that 8,
 * and the marshalled code. Numbers: 3.0 began with 3000, Python 2 counts years (62211 is 2.7). */
static bool bytecode_begins(const unsigned char *head, size_t length)
{
    if (length < 24 || head[2] != '\r' || head[3] != '\n')
        return false;
    unsigned magic = load_le16(head);
    if (!(magic >= 3000 && magic < 4000) && !(magic >= 50000 && magic < 63000))
        return false;
    for (size_t header = 8; header <= 16; header += 4)
        if ((head[header] & 0x7f) == 'c')
            return true;
    return false;
}

/* Python/marshal.c, TYPE_CODE: five numbers (six before 3.11; four in Python 2), each of 32 bits and small, then the
 * bytes of the code. */
static bool marshalled_code(const unsigned char *bytes, size_t length)
{
    if (length < 32 || (bytes[0] & 0x7f) != 'c')
        return false;
    for (size_t numbers = 4; numbers <= 6; numbers++) {
        bool small = true;
        for (size_t i = 0; i + 1 < numbers; i++)
            small &= load_le32(bytes + 1 + 4 * i) < 0x10000;
        size_t code = 1 + 4 * numbers;
        if (small && load_le32(bytes + code - 4) < 0x4000000 && (bytes[code] & 0x7f) == 's' &&
            load_le32(bytes + code + 1) >= 2 && load_le32(bytes + code + 1) < 0x1000000)
            return true;
    }
    return false;
}

/* Lib/site.py: a line that begins with "import" and a blank is executed. */
static bool path_file_executes(struct scan *scan, const struct source *source)
{
    struct reader reader;
    const unsigned char *bytes;
    uint64_t length;
    size_t got;
    bool executes = false;
    if (!reader_open(&reader, scan->arena, source, 0,
                     source->size < LIMIT_PATH_FILE ? source->size : LIMIT_PATH_FILE)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return false;
    }
    while (!executes && (bytes = reader_rest(&reader, 10, &got))) {
        if (reader.position == 0 && bytes_begin(bytes, got, "\xef\xbb\xbf")) { /* utf-8-sig, since 3.13 */
            bytes += 3;
            got -= 3;
        }
        executes = bytes_begin(bytes, got, "import ") || bytes_begin(bytes, got, "import\t");
        if (!reader_skip_line(&reader, &length))
            break;
    }
    if (reader.error)
        scan_failed(scan, SCAN_IO, reader.error);
    return executes;
}

bool scan_beside(const unsigned char *head, size_t head_length, const char *path)
{
    return native_begins(head, head_length) || bytecode_begins(head, head_length) ||
           marshalled_code(head, head_length) || path_ends(path, ".py") || path_ends(path, ".pth");
}

struct beside_kind {
    const char *format, *token, *detail;
};

static bool beside_report(struct scan *scan, const struct beside_kind *kind, const char *path)
{
    char name[LIMIT_NAME];
    size_t length = strlen(kind->token);
    struct effect effect = {.kind = EFFECT_CODE, .name = name, .detail = kind->detail};
    memcpy(name, kind->token, length + 1);
    if (length > 0 && name[length - 1] == '/')
        module_name(path, name + length, sizeof name - length);
    scan_is(scan, kind->format);
    scan_report(scan, kind->format, &effect);
    return true;
}

bool beside_run(struct scan *scan, const struct source *source, const char *name)
{
    static const struct beside_kind object = {"native", "native-object/", "native code beside a model"},
        bytecode = {"python-bytecode", "python-bytecode/", "compiled Python beside a model"},
        marshal = {"marshal", "marshal", "a marshalled code object"},
        text = {"python", "python-source/", "Python beside a model"},
        start = {"python-path", "python-path/",
                 "a line that Python executes whenever it starts with this folder on its path"};
    unsigned char head[512];
    ssize_t got = source_read(source, head, sizeof head, 0);
    if (got < 0) {
        scan_failed(scan, SCAN_IO, (int)-got);
        return true;
    }
    if (native_begins(head, (size_t)got))
        return beside_report(scan, &object, name);
    if (bytecode_begins(head, (size_t)got))
        return beside_report(scan, &bytecode, name);
    if (marshalled_code(head, (size_t)got))
        return beside_report(scan, &marshal, name);
    if (path_ends(name, ".py"))
        return beside_report(scan, &text, name);
    return path_ends(name, ".pth") && path_file_executes(scan, source) && beside_report(scan, &start, name);
}
