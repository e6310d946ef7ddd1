#include "effect.h"

#include <string.h>

static const char *const kind_names[EFFECT_KINDS] = {
    [EFFECT_IMPORT] = "import",   [EFFECT_CREATE] = "create", [EFFECT_CALL] = "call",
    [EFFECT_DEPEND] = "depend",   [EFFECT_CODE] = "code",     [EFFECT_READ] = "read",
    [EFFECT_WRITE] = "write",     [EFFECT_EXEC] = "exec",     [EFFECT_CONNECT] = "connect",
    [EFFECT_NATIVE] = "native",   [EFFECT_MALFORMED] = "malformed", [EFFECT_OPAQUE] = "opaque",
};

const char *effect_kind_name(enum effect_kind kind)
{
    return (unsigned)kind < EFFECT_KINDS ? kind_names[kind] : "unknown";
}

enum effect_kind effect_kind_find(const char *name, size_t length)
{
    unsigned kind;

    for (kind = 0; kind < EFFECT_KINDS; kind++)
        if (strlen(kind_names[kind]) == length && memcmp(kind_names[kind], name, length) == 0)
            break;
    return (enum effect_kind)kind;
}

bool effect_revision_pinned(const char *revision)
{
    size_t length = 0;

    if (!revision)
        return false;
    for (; revision[length]; length++) {
        char c = revision[length];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return length == 40;
}

/* A text that is being written into a buffer; what does not fit is dropped and remembered. */
struct writer {
    char *buffer;
    size_t size, length;
    bool cut;
};

static void write_bytes(struct writer *writer, const char *text, size_t length)
{
    if (writer->cut)
        return;
    if (length >= writer->size - writer->length) {
        writer->cut = true;
        return;
    }
    memcpy(writer->buffer + writer->length, text, length);
    writer->length += length;
}

static void write_text(struct writer *writer, const char *text)
{
    write_bytes(writer, text, strlen(text));
}

/* Length of the well-formed UTF-8 sequence at `text`, 0 if there is none. NUL ends it, so never reads past the end. */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char lead = text[0], low = 0x80, high = 0xbf;
    size_t length, i;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        length = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        length = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        length = 4;
    else
        return 0;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    for (i = 1; i < length; i++, low = 0x80, high = 0xbf)
        if (text[i] < low || text[i] > high)
            return 0;
    return length;
}

/* C1 controls, bidirectional overrides and line separators can repaint a terminal's line as much as C0 controls. */
static bool sequence_hidden(const unsigned char *text, size_t length)
{
    if (length == 2 && text[0] == 0xc2 && text[1] < 0xa0)
        return true;
    if (length == 3 && text[0] == 0xe2)
        return (text[1] == 0x80 && (text[2] >= 0xa8 || (text[2] >= 0x8b && text[2] <= 0x8f))) ||
               (text[1] == 0x81 && text[2] >= 0xa0 && text[2] <= 0xaf);
    return false;
}

/* `quotes`: within quotes, where those and backslashes are escaped too. */
static void write_escaped(struct writer *writer, const char *text, bool quotes)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = (const unsigned char *)text;

    while (*at && !writer->cut) {
        size_t length = utf8_length(at), i;

        if (length && *at >= 0x20 && *at != 0x7f && !sequence_hidden(at, length)) {
            if (quotes && (*at == '"' || *at == '\\'))
                write_bytes(writer, "\\", 1);
            write_bytes(writer, (const char *)at, length);
            at += length;
            continue;
        }
        for (i = 0; i < (length ? length : 1); i++, at++) {
            const char escape[4] = {'\\', 'x', digits[*at >> 4], digits[*at & 15]};

            write_bytes(writer, escape, sizeof escape);
        }
    }
}

static void write_argument(struct writer *writer, const struct argument *argument)
{
    switch (argument->kind) {
    case ARGUMENT_NONE:
        write_text(writer, "None");
        break;
    case ARGUMENT_STRING:
    case ARGUMENT_BYTES:
        write_text(writer, argument->kind == ARGUMENT_BYTES ? "b\"" : "\"");
        write_escaped(writer, argument->text ? argument->text : "...", argument->kind == ARGUMENT_STRING);
        write_text(writer, "\"");
        break;
    case ARGUMENT_OBJECT:
        write_text(writer, "<");
        write_escaped(writer, argument->text ? argument->text : "object", false);
        write_text(writer, ">");
        break;
    case ARGUMENT_SEQUENCE:
    case ARGUMENT_BOOL:
    case ARGUMENT_NUMBER:
    case ARGUMENT_NAME:
        write_escaped(writer, argument->text ? argument->text : "...", false);
        break;
    case ARGUMENT_UNKNOWN:
        write_text(writer, "?");
        break;
    }
}

size_t effect_render_arguments(const struct effect *effect, char *buffer, size_t size)
{
    struct writer writer = {buffer, size, 0, false};
    size_t i;

    if (size == 0)
        return 0;
    for (i = 0; i < effect->argument_count && effect->arguments; i++) {
        if (i)
            write_text(&writer, ", ");
        write_argument(&writer, &effect->arguments[i]);
    }
    if (!effect->argument_known)
        write_text(&writer, effect->argument_count ? ", ..." : "...");
    if (writer.cut) {
        size_t at = writer.length;

        /* Room for the dots, but never in the middle of a UTF-8 sequence. */
        if (at + 4 > size)
            at = size > 4 ? size - 4 : 0;
        while (at > 0 && ((unsigned char)buffer[at] & 0xc0) == 0x80 && at < writer.length)
            at--;
        for (writer.length = at; writer.length < at + 3 && writer.length + 1 < size;)
            buffer[writer.length++] = '.';
    }
    buffer[writer.length] = '\0';
    return writer.length;
}
