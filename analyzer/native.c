#include "native.h"

#include "bytes.h"
#include "reader.h"

#include <string.h>

static uint32_t load_be(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Facts: elf(5); Microsoft's PE format; Apple's <mach-o/loader.h> and <mach-o/fat.h>; Cosmopolitan's
 * ape/specification.md. */
bool native_begins(const unsigned char *head, size_t length)
{
    if (length < 64)
        return false;
    if (bytes_begin(head, length, "\177ELF"))
        return head[4] >= 1 && head[4] <= 2 && head[5] >= 1 && head[5] <= 2;
    if (bytes_begin(head, length, "MZqFpD") || bytes_begin(head, length, "jartsr='"))
        return true;
    if (bytes_begin(head, length, "MZ")) {
        uint32_t at = load_le32(head + 60);
        return at <= length - 4 && memcmp(head + at, "PE\0\0", 4) == 0;
    }
    uint32_t magic = load_be(head);
    if (magic == 0xfeedface || magic == 0xfeedfacf || magic == 0xcefaedfe || magic == 0xcffaedfe)
        return true;
    /* Java's classes begin with the same four bytes; there a version follows that is larger than any number
     * of parts. */
    return (magic == 0xcafebabe || magic == 0xcafebabf) && load_be(head + 4) >= 1 && load_be(head + 4) <= 30;
}

/* A program that carries a zip: only then can a model be in it. */
static unsigned llamafile_bid(const struct bid_view *view)
{
    if (!native_begins(view->head, view->head_length))
        return 0;
    for (size_t i = 0; i + 22 <= view->tail_length; i++)
        if (memcmp(view->tail + i, "PK\5\6", 4) == 0)
            return 32;
    return 0;
}

/* The zip has been read before this has its turn; launchers and self-extracting archives hold no model. */
static bool llamafile_run(struct scan *scan, const struct source *source)
{
    const struct scan_result *result = scan->result;
    struct effect effect = {
        .kind = EFFECT_CODE, .name = "llamafile", .detail = "it runs when it is started, and not when it is read"};
    bool model = false;
    (void)source;
    for (size_t i = 0; i < result->format_count; i++)
        model |= strcmp(result->formats[i], "gguf") == 0;
    if (!model)
        return false;
    scan_is_around(scan, "llamafile", 0);
    scan_report(scan, "llamafile", &effect);
    return true;
}

const struct format format_llamafile = {"llamafile", llamafile_bid, llamafile_run};
