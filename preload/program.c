#define _GNU_SOURCE
#include "program.h"

#include "../analyzer/native.h"
#include "../analyzer/scan.h"
#include "check.h"
#include "file_hash.h"
#include "guard.h"
#include "library.h"
#include "python.h"
#include "raw.h"
#include "who.h"

#include <errno.h>
#include <string.h>

/* One program being looked at; a vfork child stands on a stack that may be small. */
struct program {
    char shown[PATH_MAX], real[PATH_MAX];
    struct model_identity model;
    unsigned char head[SCAN_HEAD];
    struct stat status;
    int fd;
};

/* A program whose start is denied is hashed for the record up to here, in half a second; models of many gigabytes are
 * programs too, and rules that ask hash them whole. */
#define HASHED_FOR_RECORD (1ll << 30)

/* What may be started but not read can be no script, whose interpreter reads it. */
static bool is_native(struct program *program, int fd, bool readable)
{
    long length = readable ? raw_pread(fd, program->head, sizeof program->head, 0) : 0;
    return !readable || (length > 0 && native_begins(program->head, (size_t)length));
}

/* In a process without an interpreter, such as a shell, nobody knows what is the application's: only what is a model by
 * its name or lies in a hub's cache is one there. */
static bool is_models(struct program *program)
{
    return library_is_models(program->shown, program->real, python_present(), &program->model);
}

static bool judge(struct program *program, const char *detail, char *message, size_t size)
{
    struct effect effect = {.kind = EFFECT_EXEC, .name = program->shown, .detail = detail};
    struct subject subject = {
        .effect = &effect,
        .moment = MOMENT_LIVE,
        .origin = who_suspected() ? who_asks() : ORIGIN_UNKNOWN,
        .home = HOME_MODEL,
        .path = program->shown,
        .model = program->model.id[0] != '\0' ? program->model.id : NULL,
        .revision = program->model.revision[0] != '\0' ? program->model.revision : NULL,
        .sha256 = file_hash_asked,
        .sha256_context = &program->fd,
    };
    struct judgement judgement;
    const struct policy *policy = guard_policy();
    if (policy != NULL)
        policy_judge(policy, &subject, &judgement);
    if (guard_borrowed_memory())
        return guard_mode() != MODE_ENFORCE || (policy != NULL && judgement.decision != DECISION_DENY);
    if (program->status.st_size > HASHED_FOR_RECORD)
        subject.sha256 = NULL;
    enum decision decision = policy != NULL ? guard_act(&subject, &judgement, NULL, 0, message, size)
                                            : guard_decide(&subject, NULL, 0, message, size);
    return decision != DECISION_DENY;
}

static bool is_starter(const char *path)
{
    const char *slash = strrchr(path, '/');
    const struct policy *policy = guard_policy();
    return policy == NULL || policy_is_starter(policy, slash != NULL ? slash + 1 : path);
}

/* `starter`: what runs the file; NULL: it is started itself. */
static bool may_run(int dirfd, const char *path, const char *starter, const char *detail, char *message, size_t size)
{
    struct guard_section section = guard_enter();
    bool readable = true, may = true;
    long fd = raw_openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd == -EACCES) {
        readable = false;
        fd = raw_openat(dirfd, path, O_PATH | O_CLOEXEC, 0);
    }
    struct program *program = fd >= 0 ? raw_take(NULL, sizeof *program) : NULL;
    if (program != NULL && is_native(program, (int)fd, readable)) {
        program->fd = (int)fd;
        raw_fstat((int)fd, &program->status);
        check_name((int)fd, dirfd, path, program->shown, program->real);
        may = !is_models(program) || (starter != NULL && !is_starter(starter)) || judge(program, detail, message, size);
    }
    if (program != NULL)
        raw_give(NULL, program, sizeof *program);
    if (fd >= 0)
        raw_close((int)fd);
    guard_leave(section);
    return may;
}

bool program_may_start(int dirfd, const char *path, const char *detail, char *message, size_t size)
{
    return path == NULL || !guard_may_judge() || may_run(dirfd, path, NULL, detail, message, size);
}

static const char *handed_on(int dirfd, char *const argv[])
{
    struct stat status;
    for (unsigned i = 1; argv != NULL && argv[0] != NULL && i < PROGRAM_WORDS && argv[i] != NULL; i++) {
        const char *word = argv[i];
        bool option = word[0] == '-' || word[0] == '+';
        if (option && word[1] != '-' && strchr(word, 'c') != NULL)
            return NULL;
        if (!option && raw_fstatat(dirfd, word, &status, 0) == 0 && S_ISREG(status.st_mode))
            return word;
    }
    return NULL;
}

bool program_may_hand_on(int dirfd, const char *starter, char *const argv[], const char *detail, char *message,
                         size_t size)
{
    const char *file = starter != NULL && guard_may_judge() ? handed_on(dirfd, argv) : NULL;
    return file == NULL || may_run(dirfd, file, starter, detail, message, size);
}

/* Characters that mean something to a shell in a bare word; within '...' nothing does, within "..." few. */
#define BARE_ENDS " \t\n"
#define BARE_SPECIAL "|&;<>()$`\\\"'*?[#~={}"
#define QUOTED_SPECIAL "$`\\"

/* The first words of `line`, in `text`, up to one that is not written out. */
static void split(const char *line, char text[PATH_MAX], char *words[PROGRAM_WORDS + 1])
{
    size_t used = 0;
    unsigned count = 0;
    while (count < PROGRAM_WORDS) {
        line += strspn(line, BARE_ENDS);
        char quote = *line == '"' || *line == '\'' ? *line++ : '\0';
        size_t length = quote ? strcspn(line, quote == '"' ? "\"" : "'") : strcspn(line, BARE_ENDS);
        const char *special = quote == '"' ? QUOTED_SPECIAL : quote ? "" : BARE_SPECIAL;
        if (length == 0 || used + length >= PATH_MAX || strcspn(line, special) < length)
            break;
        words[count++] = memcpy(text + used, line, length);
        text[used + length] = '\0';
        used += length + 1;
        line += length + (quote && line[length] != '\0');
    }
    words[count] = NULL;
}

bool program_may_start_line(const char *line, const char *detail)
{
    char text[PATH_MAX], *words[PROGRAM_WORDS + 1];
    split(line, text, words);
    return words[0] == NULL || ((!strchr(words[0], '/') || program_may_start(AT_FDCWD, words[0], detail, NULL, 0)) &&
                                program_may_hand_on(AT_FDCWD, words[0], words, detail, NULL, 0));
}
