#define _GNU_SOURCE
#include "graph.h"

#include "check.h"
#include "deed.h"
#include "native.h"
#include "object.h"
#include "outside.h"
#include "scratch.h"
#include "text_hash.h"

#include <string.h>

bool graph_present;

/* What a function on the stack is. */
enum frame_part {
    PART_OTHER,
    PART_OPERATOR, /* a named operator acts */
    PART_RUNNER,   /* whatever is above acts as an operator, or as a data set that is read */
    PART_CALL,     /* Python calls one operator by its name */
    PART_EXECUTE,  /* Python calls an operator or a function */
    PART_PROGRAM   /* the interpreter, or the executable */
};
#define PART_BITS 7u /* stems leave them free */

/* --- operators that this process holds -------------------------------------------------------------------------- */

/* Operators of files: a graph that touches files has a few, and there are some eighty. When all rows are taken any
 * operator counts. */
#define ROWS 64u
static struct row {
    uint32_t version; /* odd: being written */
    uint64_t stem;    /* of the operator; 0: free */
    bool nameless;    /* its class has no exported name, so that no frame names it */
    struct graph_file file;
} rows[ROWS];
static uint32_t row_count;

static bool text_ends(const char *text, size_t length, const char *end)
{
    size_t size = strlen(end);
    return length > size && memcmp(text + length - size, end, size) == 0;
}

/* An operator and the class behind it have one stem: "CSVDatasetV2" and "CSVDatasetOp", "Save", "SaveV2" and
 * "SaveOp". */
static uint64_t stem_of(const char *name, size_t length)
{
    static const char experimental[] = "Experimental";
    if (length > sizeof experimental && memcmp(name, experimental, sizeof experimental - 1) == 0) {
        name += sizeof experimental - 1;
        length -= sizeof experimental - 1;
    }
    if (text_ends(name, length, "Op"))
        length -= 2;
    if (length > 2 && name[length - 2] == 'V' && name[length - 1] >= '1' && name[length - 1] <= '9')
        length -= 2;
    return (text_hash_bytes(TEXT_HASH_START, name, length) | 8u) & ~(uint64_t)PART_BITS;
}

/* Classes in anonymous namespaces (TensorFlow 2.20: of all operators on files that the analyzer knows). */
static bool is_nameless(uint64_t stem)
{
    static const char *const operators[] = {
        "CSVDataset", "DTensorRestore", "DatasetToTFRecord", "FixedUnigramCandidateSampler",
        "LMDBDataset", "LMDBReader", "ListSnapshotChunksDataset", "MatchingFilesDataset",
        "SnapshotChunkDataset", "SnapshotDataset", "SnapshotDatasetReader", "SqlDataset",
    };
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (stem_of(operators[i], strlen(operators[i])) == stem)
            return true;
    return false;
}

static bool row_begin(struct row *row, uint32_t *version)
{
    *version = __atomic_load_n(&row->version, __ATOMIC_RELAXED);
    return !(*version & 1) && __atomic_compare_exchange_n(&row->version, version, *version + 1, false, __ATOMIC_ACQ_REL,
                                                          __ATOMIC_RELAXED);
}

static void row_end(struct row *row, uint32_t version, uint64_t stem)
{
    __atomic_store_n(&row->stem, stem, __ATOMIC_RELAXED);
    __atomic_store_n(&row->version, version + 2, __ATOMIC_RELEASE);
}

/* A copy of the row's file; false when it is being written. */
static bool row_copy(const struct row *row, struct graph_file *file)
{
    uint32_t version = __atomic_load_n(&row->version, __ATOMIC_ACQUIRE);
    if (version & 1)
        return false;
    *file = row->file;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&row->version, __ATOMIC_RELAXED) == version;
}

static bool row_is(const struct row *row, uint64_t stem, const char *path)
{
    return __atomic_load_n(&row->stem, __ATOMIC_RELAXED) == stem && strcmp(row->file.path, path) == 0;
}

static void row_add(uint64_t stem, const char *path, const char *format)
{
    uint32_t version, used = __atomic_load_n(&row_count, __ATOMIC_ACQUIRE);
    struct row *row = NULL;
    for (uint32_t i = 0; i < used && i < ROWS; i++) {
        if (row_is(&rows[i], stem, path))
            return;
        row = __atomic_load_n(&rows[i].stem, __ATOMIC_RELAXED) ? row : &rows[i];
    }
    row = row ? row : &rows[__atomic_fetch_add(&row_count, 1, __ATOMIC_ACQ_REL) % ROWS];
    if (!row_begin(row, &version))
        return;
    size_t length = strlen(path);
    memcpy(row->file.path, path, length + 1);
    row->file.format = format;
    row->nameless = is_nameless(stem);
    row_end(row, version, stem);
}

void graph_note(const struct effect *effect, const char *path)
{
    const char *format = effect->format ? effect->format : "";
    bool graph = !strcmp(format, "saved-model") || !strcmp(format, "tensorflow-graph");
    if (!graph || (effect->kind != EFFECT_READ && effect->kind != EFFECT_WRITE) || effect->argument_count == 0 ||
        !effect->arguments[0].text)
        return;
    const char *operator = effect->arguments[0].text;
    row_add(stem_of(operator, strlen(operator)), strlen(path) < VERDICT_PATH ? path : "", format);
    __atomic_store_n(&graph_present, true, __ATOMIC_RELEASE);
}

void graph_forget(const char *path)
{
    uint32_t version, used = __atomic_load_n(&row_count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < used && i < ROWS; i++)
        if (strcmp(rows[i].file.path, path) == 0 && row_begin(&rows[i], &version))
            row_end(&rows[i], version, 0);
}

/* Is the operator of this stem one of those? 0: it has no name. Of files that hold the same operator the latest
 * counts. */
static const struct row *row_of(uint64_t stem)
{
    uint32_t used = __atomic_load_n(&row_count, __ATOMIC_ACQUIRE);
    const struct row *any = NULL;
    for (uint32_t i = used < ROWS ? used : ROWS; i-- > 0;) {
        uint64_t held = __atomic_load_n(&rows[i].stem, __ATOMIC_RELAXED);
        if (held && (held == stem || (stem == 0 && rows[i].nameless)))
            return &rows[i];
        any = held ? &rows[i] : any;
    }
    return used > ROWS ? any : NULL;
}

/* --- what a frame is -------------------------------------------------------------------------------------------- */

/* Functions looked up before: dladdr goes through TensorFlow's 400,000 symbols one by one. Told apart by the address;
 * a torn pair is not believed. The lowest bits of `what` are the part, the others an operator's stem. */
#define SEEN 1024u
static struct seen {
    uintptr_t ip;
    uint64_t what;
} seen[SEEN];

/* One part of a mangled name: "4name". */
static const char *component(const char *at, size_t *length)
{
    *length = 0;
    while (*at >= '0' && *at <= '9' && *length < 4096)
        *length = *length * 10 + (size_t)(*at++ - '0');
    return *length && *length <= strlen(at) ? at : NULL;
}

/* The operator's class in a mangled name: its own methods, or those of classes inside it, and the methods by which
 * the classes without "Op" at their end act. 0: none. */
static uint64_t operator_in(const char *symbol)
{
    static const char *const methods[] = {"7ComputeEPNS_15OpKernelContextE", "12ComputeAsyncEPNS_15OpKernelContextE",
                                          "10ReadLockedE", "19OnWorkStartedLockedE"};
    const char *at = strstr(symbol, "10tensorflow");
    size_t length;
    while (at && (at = component(at, &length)) != NULL) {
        bool acts = text_ends(at, length, "Op");
        for (size_t i = 0; i < sizeof methods / sizeof methods[0] && !acts; i++)
            acts = strncmp(at + length, methods[i], strlen(methods[i])) == 0;
        if (acts)
            return stem_of(at, length);
        at += length;
    }
    return 0;
}

static uint64_t look(uintptr_t ip)
{
    const char *symbol;
    const void *base = object_base((const void *)(ip - 1), &symbol);
    if (object_is_program(base))
        return PART_PROGRAM;
    if (!symbol)
        return PART_OTHER;
    if (strstr(symbol, "TFE_Py_FastPathExecute"))
        return PART_CALL;
    if (strstr(symbol, "TFE_Py_Execute"))
        return PART_EXECUTE;
    if (strstr(symbol, "10tensorflow16ThreadPoolDevice7Compute") ||
        strstr(symbol, "10tensorflow4data19DatasetBaseIterator7GetNext"))
        return PART_RUNNER;
    uint64_t stem = operator_in(symbol);
    return stem ? (stem & ~(uint64_t)PART_BITS) | PART_OPERATOR : PART_OTHER;
}

static uint64_t part_of(uintptr_t ip)
{
    struct seen *entry = &seen[(ip ^ ip >> 10) % SEEN];
    uint64_t what = __atomic_load_n(&entry->what, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&entry->ip, __ATOMIC_ACQUIRE) == (ip ^ what))
        return what;
    what = look(ip);
    __atomic_store_n(&entry->ip, ip ^ what, __ATOMIC_RELEASE);
    __atomic_store_n(&entry->what, what, __ATOMIC_RELEASE);
    return what;
}

/* --- who acts --------------------------------------------------------------------------------------------------- */

/* Operators stand a dozen frames above their thread's start, nested data sets three times that. */
#define GRAPH_FRAMES 128u

struct walk {
    bool decided, executed;
    const struct row *row;
};

/* TensorFlow's Python has a function for each operator, in tensorflow/python/ops/gen_*_ops.py; they call operators
 * where the faster way does not take the arguments. Functions are called from elsewhere. */
static bool calls_operator(void)
{
    struct frame frames[2];
    unsigned count = frames_walk(frames, 2);
    return count < 2 || strstr(frames[1].file, "/ops/gen_") != NULL;
}

static enum native_answer visit(void *context, const struct native_frame *frame)
{
    struct walk *walk = context;
    uint64_t what = part_of(frame->ip);
    switch ((enum frame_part)(what & PART_BITS)) {
    case PART_OPERATOR:
    case PART_RUNNER:
        if (!walk->decided)
            walk->row = row_of(what & ~(uint64_t)PART_BITS);
        walk->decided = true;
        return walk->row ? NATIVE_GO_ON : NATIVE_ENOUGH;
    case PART_EXECUTE:
        walk->executed = true;
        return NATIVE_ENOUGH;
    case PART_CALL:
        walk->row = NULL;
        return NATIVE_ENOUGH;
    case PART_PROGRAM:
        return NATIVE_ENOUGH;
    case PART_OTHER:
        break;
    }
    return NATIVE_GO_ON;
}

bool graph_running(struct graph_file *file)
{
    struct walk walk = {.row = NULL};
    if (!graph_known())
        return false;
    native_visit(visit, &walk, GRAPH_FRAMES, false);
    if (walk.row && walk.executed && calls_operator())
        walk.row = NULL;
    if (walk.row && file && !row_copy(walk.row, file))
        *file = (struct graph_file){"", "saved-model"};
    return walk.row != NULL;
}

/* One file being looked at; too large for a stranger's stack. */
struct opening {
    char shown[PATH_MAX], real[PATH_MAX];
    struct graph_file by;
};

bool graph_may_open(int fd, int dirfd, const char *path)
{
    struct guard_section section = guard_enter();
    struct opening *opening = guard_borrowed_memory() ? NULL : scratch_take_partly(sizeof *opening, 0);
    bool may = true;
    if (opening && graph_running(&opening->by)) {
        check_name(fd, dirfd, path, opening->shown, opening->real);
        may = opening->by.path[0] && !outside_lies(opening->real, opening->by.path);
    } else if (!opening && !guard_borrowed_memory()) {
        may = guard_mode() != MODE_ENFORCE || !graph_running(NULL);
    }
    guard_leave(section);
    if (opening) {
        may = may || deed_may(EFFECT_READ, opening->shown, "open");
        scratch_give(NULL, opening, sizeof *opening);
    }
    return may;
}
