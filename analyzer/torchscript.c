/* TorchScript source, read for calls that touch files: torch.save and torch.from_file are operators like any other there.
 *
 * Facts: torch/csrc/jit/frontend/lexer.h and sugared_value.h (BuiltinModule): `torch` and `ops.aten` both reach the aten
 * operators; white space and comments may stand between any two tokens. */
#include "zip.h"

#include <string.h>

#define WORD_MAX 16u

enum token { TOKEN_NONE, TOKEN_WORD, TOKEN_DOT, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_OTHER };

struct script {
    struct scan *scan;
    struct reader reader;
    char word[WORD_MAX]; /* the last name; longer ones are cut, none of interest is that long */
    bool aten;           /* the names so far, dots included, are torch or ops.aten */
    bool dotted;         /* and a dot has followed */
    bool ops;            /* "ops." came last */
    enum effect_kind kind;          /* of the call whose arguments are being read; EFFECT_KINDS: none */
    unsigned parens;                /* open since its name */
    uint64_t offset;                /* of its name */
    char path[LIMIT_ARGUMENT_TEXT]; /* a string among its arguments */
};

static bool word_byte(int byte)
{
    return byte == '_' || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte >= 0x80;
}

static int peek(struct script *script)
{
    const unsigned char *byte = reader_peek(&script->reader, 1, NULL);
    return byte ? *byte : -1;
}

static void word_take(struct script *script)
{
    size_t length = 0;
    int byte;
    memset(script->word, 0, sizeof script->word);
    while ((byte = peek(script)) >= 0 && word_byte(byte)) {
        if (length + 1 < sizeof script->word)
            script->word[length++] = (char)byte;
        reader_skip(&script->reader, 1);
    }
}

/* Takes a string literal into script->path when a call's arguments are being read. from_file's path is the first string,
 * save's the only one. */
static void string_take(struct script *script, int quote)
{
    bool keep = script->kind != EFFECT_KINDS && script->path[0] == 0;
    size_t length = 0;
    int byte;
    reader_skip(&script->reader, 1);
    while ((byte = peek(script)) >= 0 && byte != quote && byte != '\n') {
        if (byte == '\\')
            reader_skip(&script->reader, 1);
        byte = peek(script);
        if (byte < 0)
            return;
        if (keep && length + 1 < sizeof script->path)
            script->path[length++] = (char)byte;
        reader_skip(&script->reader, 1);
    }
    if (keep)
        script->path[length] = 0;
    reader_skip(&script->reader, 1);
}

static void comment_skip(struct script *script)
{
    int byte;
    while ((byte = peek(script)) >= 0 && byte != '\n')
        reader_skip(&script->reader, 1);
}

static enum token token_take(struct script *script)
{
    int byte;
    while ((byte = peek(script)) >= 0) {
        if (byte == '#') {
            comment_skip(script);
        } else if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\\') {
            reader_skip(&script->reader, 1);
        } else if (byte == '\'' || byte == '"') {
            string_take(script, byte);
            return TOKEN_OTHER;
        } else if (word_byte(byte)) {
            word_take(script);
            return TOKEN_WORD;
        } else {
            reader_skip(&script->reader, 1);
            return byte == '.' ? TOKEN_DOT : byte == '(' ? TOKEN_OPEN : byte == ')' ? TOKEN_CLOSE : TOKEN_OTHER;
        }
    }
    return TOKEN_NONE;
}

static void call_report(struct script *script)
{
    bool read = script->kind == EFFECT_READ;
    struct effect effect = {
        .kind = script->kind,
        .name = script->path[0] ? script->path : read ? "torch.from_file" : "torch.save",
        .offset = script->offset,
        .detail = read ? "TorchScript calls torch.from_file" : "TorchScript calls torch.save",
    };
    script->kind = EFFECT_KINDS;
    scan_report(script->scan, "torchscript", &effect);
}

static void call_start(struct script *script, enum effect_kind kind)
{
    script->kind = kind;
    script->parens = 0;
    script->path[0] = 0;
    script->offset = script->reader.position - strlen(script->word);
}

static void word_judge(struct script *script)
{
    bool aten = script->aten && script->dotted;
    bool ops = script->ops && script->dotted;
    bool fresh = !script->dotted;
    script->dotted = false;
    script->ops = fresh && strcmp(script->word, "ops") == 0;
    script->aten = (fresh && strcmp(script->word, "torch") == 0) || (ops && strcmp(script->word, "aten") == 0);
    if (aten && strcmp(script->word, "from_file") == 0)
        call_start(script, EFFECT_READ);
    else if (aten && strcmp(script->word, "save") == 0)
        call_start(script, EFFECT_WRITE);
}

/* A name bound to `torch` itself would hide later calls. One bound to torch.save without a call counts as the call. */
static void token_judge(struct script *script, enum token token)
{
    if (script->kind != EFFECT_KINDS && script->parens == 0 && token != TOKEN_OPEN)
        call_report(script);
    if ((script->aten || script->ops) && !script->dotted && token != TOKEN_DOT)
        scan_opaque(script->scan, "torchscript", "torchscript-alias", script->reader.position,
                    "the source gives the operators' module another name");
    if (token == TOKEN_WORD) {
        word_judge(script);
        return;
    }
    if (script->kind != EFFECT_KINDS && token == TOKEN_OPEN)
        script->parens++;
    else if (script->kind != EFFECT_KINDS && token == TOKEN_CLOSE && --script->parens == 0)
        call_report(script);
    script->dotted = token == TOKEN_DOT;
    if (token != TOKEN_DOT)
        script->aten = script->ops = false;
}

void torchscript_scan(struct scan *scan, const struct source *source)
{
    struct script script = {.scan = scan, .kind = EFFECT_KINDS};
    enum token token;
    if (!reader_open(&script.reader, scan->arena, source, 0, source->size)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return;
    }
    while (!scan->stopped && (token = token_take(&script)) != TOKEN_NONE)
        token_judge(&script, token);
    token_judge(&script, TOKEN_OTHER);
    if (script.reader.error)
        scan_failed(scan, SCAN_IO, script.reader.error);
}
