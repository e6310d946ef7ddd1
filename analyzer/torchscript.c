/* TorchScript source, read for calls that touch files (torch.save and torch.from_file are operators like any other
 * there) and for what is not PyTorch's own: operators and classes that native code has to bring, and calls back into
 * Python.
 *
 * Facts: torch/csrc/jit/frontend/lexer.h and sugared_value.h (BuiltinModule): `torch` and `ops.aten` both reach the
 * aten operators, `ops.NAMESPACE` all others; serialization/python_print.cpp: classes of native code are
 * __torch__.torch.classes.NAMESPACE.NAME, a prim::PythonOp is `^name(...)`. White space and comments may stand between
 * any two tokens. */
#include "zip.h"

#include <string.h>

#define WORD_MAX 64u
#define CHAIN_MAX 4u

enum token { TOKEN_NONE, TOKEN_WORD, TOKEN_DOT, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_CARET, TOKEN_OTHER };

struct script {
    struct scan *scan;
    struct reader reader;
    char chain[CHAIN_MAX][WORD_MAX]; /* the last names of a.b.c, the newest last; longer ones are cut, as for display */
    unsigned links;                  /* names in it, the forgotten ones too; 0: none */
    bool dotted;                     /* and a dot has followed */
    bool module;                     /* the chain is complete, and names no operator but where they are */
    enum token before;
    enum effect_kind kind;          /* of the call whose arguments are being read; EFFECT_KINDS: none */
    unsigned parens;                /* open since its name */
    uint64_t offset;                /* of its name */
    char path[LIMIT_ARGUMENT_TEXT]; /* a string among its arguments */
};

static bool word_byte(int byte)
{
    return byte == '_' || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte >= 0x80;
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
    /* What hangs on something that is no name, as in f().x, continues a chain that no rule knows. */
    if (!script->dotted)
        script->links = 0;
    else if (script->links == 0)
        script->links = CHAIN_MAX;
    script->links++;
    memmove(script->chain, script->chain + 1, sizeof script->chain - WORD_MAX);
    char *word = script->chain[CHAIN_MAX - 1];
    memset(word, 0, WORD_MAX);
    while ((byte = peek(script)) >= 0 && word_byte(byte)) {
        if (length + 1 < WORD_MAX)
            word[length++] = (char)byte;
        reader_skip(&script->reader, 1);
    }
}

/* Takes a string literal into script->path when a call's arguments are being read. from_file's path is the first
 * string, save's the only one. */
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
            return byte == '.' ? TOKEN_DOT : byte == '(' ? TOKEN_OPEN : byte == ')' ? TOKEN_CLOSE
                   : byte == '^' ? TOKEN_CARET : TOKEN_OTHER;
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

static void python_report(struct script *script)
{
    struct effect effect = {.kind = EFFECT_CODE, .name = "torchscript-python-op", .offset = script->reader.position - 1,
                            .detail = "prim::PythonOp, a call of a Python function"};
    scan_report(script->scan, "torchscript", &effect);
}

/* The name that stands `back` before the newest; "" when there is none, or it is forgotten. */
static const char *name_back(const struct script *script, unsigned back)
{
    return back < script->links && back < CHAIN_MAX ? script->chain[CHAIN_MAX - 1 - back] : "";
}

/* torch, ops, ops.NAMESPACE */
static bool names_a_module(const struct script *script)
{
    const char *first = name_back(script, script->links - 1);
    return (script->links == 1 && strcmp(first, "torch") == 0) || (script->links <= 2 && strcmp(first, "ops") == 0);
}

/* Says that "KIND/NAMESPACE/NAME", of the two newest names, is not PyTorch's own, or a part of it that is told apart by
 * name. */
static void foreign_report(struct script *script, const char *kind, const char *detail)
{
    char name[2 * WORD_MAX + 32];
    struct effect effect = {.kind = EFFECT_CODE, .name = name, .detail = detail,
                            .offset = script->reader.position - strlen(name_back(script, 0))};
    size_t length = strlen(kind);
    memcpy(name, kind, length);
    for (unsigned back = 2; back-- > 0;) {
        size_t more = strlen(name_back(script, back));
        name[length++] = '/';
        memcpy(name + length, name_back(script, back), more + 1);
        length += more;
    }
    scan_report(script->scan, "torchscript", &effect);
}

static void call_start(struct script *script, enum effect_kind kind)
{
    script->kind = kind;
    script->parens = 0;
    script->path[0] = 0;
    script->offset = script->reader.position - strlen(name_back(script, 0));
}

static void word_judge(struct script *script)
{
    const char *word = name_back(script, 0), *space = name_back(script, 1), *module = name_back(script, 2);
    bool operator = script->links == 3 && strcmp(module, "ops") == 0;
    bool aten = (script->links == 2 && strcmp(space, "torch") == 0) || (operator && strcmp(space, "aten") == 0);
    if (aten && strcmp(word, "from_file") == 0)
        call_start(script, EFFECT_READ);
    else if (aten && strcmp(word, "save") == 0)
        call_start(script, EFFECT_WRITE);
    else if (operator && !aten)
        foreign_report(script, "torchscript-operator", "an operator that is none of PyTorch's tensor operators");
    else if (script->links >= 4 && strcmp(module, "classes") == 0 && strcmp(name_back(script, 3), "torch") == 0)
        foreign_report(script, "torchscript-class", "a class that native code provides");
}

/* A name bound to `torch` itself would hide later calls. One bound to torch.save without a call counts as the call. */
static void token_judge(struct script *script, enum token token)
{
    if (script->module && token != TOKEN_DOT)
        scan_opaque(script->scan, "torchscript", "torchscript-alias", script->reader.position,
                    "the source gives the operators' module another name");
    if (script->kind != EFFECT_KINDS && script->parens == 0 && token != TOKEN_OPEN)
        call_report(script);
    if (token == TOKEN_WORD) {
        word_judge(script);
    } else if (token == TOKEN_DOT) {
        script->dotted = true;
    } else {
        script->links = 0;
    }
    if (script->kind != EFFECT_KINDS && token == TOKEN_OPEN)
        script->parens++;
    else if (script->kind != EFFECT_KINDS && token == TOKEN_CLOSE && --script->parens == 0)
        call_report(script);
    /* Between two values it is "exclusive or". */
    if (token == TOKEN_CARET && script->before != TOKEN_WORD && script->before != TOKEN_CLOSE)
        python_report(script);
    if (token != TOKEN_DOT)
        script->dotted = false;
    script->module = token == TOKEN_WORD && names_a_module(script);
    script->before = token;
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
