#define _GNU_SOURCE
#include "say.h"

#include "asker.h"
#include "environment.h"
#include "hint.h"
#include "raw.h"
#include "text_hash.h"

#include <errno.h>
#include <string.h>

/* Lines remembered for folding; a loop over one poisoned file must not flood a log. */
#define SAY_FOLDED 32
#define SAY_LINE 2048

static struct stat standard[3];
static bool terminal;
static uint64_t said_hashes[SAY_FOLDED];
static struct text_seen said = {said_hashes, SAY_FOLDED, 0};

void say_start(void)
{
    for (int fd = 1; fd <= 2; fd++)
        if (raw_fstat(fd, &standard[fd]) < 0)
            standard[fd].st_nlink = 0;
    char termios[64]; /* struct termios of the kernel is 36 bytes */
    terminal = raw_syscall6(SYS_ioctl, 2, 0x5401 /* TCGETS */, (long)termios, 0, 0, 0) == 0;
}

bool say_raw(int fd, const char *text, size_t length)
{
    struct stat now;
    if (raw_fstat(fd, &now) < 0 || !standard[fd].st_nlink || now.st_dev != standard[fd].st_dev ||
        now.st_ino != standard[fd].st_ino)
        return false;
    while (length) {
        long wrote = raw_write(fd, text, length);
        if (wrote == -EINTR)
            continue;
        if (wrote <= 0)
            return false;
        text += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

static void put_frame(struct line *line, const struct frame *frame)
{
    const char *name = asker_installed_part(frame->file);
    if (!name) {
        name = strrchr(frame->file, '/');
        name = name ? name + 1 : frame->file;
    }
    line_put_visible(line, name);
    if (frame->line > 0) {
        line_put(line, ":");
        line_put_number(line, (unsigned long)frame->line);
    }
}

static void put_asked_by(struct line *line, const struct frame *frames, unsigned count)
{
    struct asker asker = asker_find(frames, count);
    const int shown[] = {asker.app, asker.entry, asker.actor == asker.entry ? -1 : asker.actor};
    const char *between = " asked by ";
    for (size_t i = 0; i < 3; i++)
        if (shown[i] >= 0) {
            line_put(line, between);
            put_frame(line, &frames[shown[i]]);
            between = " <- ";
        }
}

/* A path below the working directory without it; `folder` is scratch. */
static const char *without_cwd(const char *path, char folder[ENVIRONMENT_VALUE])
{
    long length = path[0] == '/' ? raw_syscall6(SYS_getcwd, (long)folder, ENVIRONMENT_VALUE, 0, 0, 0, 0) - 1 : 0;
    bool below = length > 1 && !strncmp(path, folder, (size_t)length) && path[length] == '/';
    return below ? path + length + 1 : path;
}

size_t say_compose(const struct say_denial *denial, char *buffer, size_t size)
{
    struct line line = {buffer, size, 0};
    char folder[ENVIRONMENT_VALUE];
    line_put(&line, denial->would ? "guard: would deny " : "guard: denied ");
    line_put_visible(&line, without_cwd(denial->what, folder));
    line_put(&line, ": ");
    line_put_visible(&line, denial->clause);
    if (denial->rule) {
        line_put(&line, " [");
        line_put_visible(&line, denial->rule);
        line_put(&line, "]");
    }
    put_asked_by(&line, denial->frames, denial->frame_count);
    return line.length;
}

static bool quiet(void)
{
    return !strcmp(environment.quiet, "1");
}

/* How to take what is there now into the lock: once, because one command renews it for all. */
static void put_renewal(struct line *line)
{
    size_t start = line->length;
    bool file = environment.log[0] == '/' && !strchr(environment.log, '%');
    line_put(line, "guard: to accept it: guard lock ");
    line_put_word(line, file ? environment.log : "LOG");
    line_put(line, " --update ");
    line_put_word(line, environment.lock);
    line_put(line, "\n");
    if (!text_first_seen(&said, text_hash(TEXT_HASH_START, line->text + start)))
        line->length = start;
}

void say_denial(const struct say_denial *denial)
{
    char text[SAY_LINE];
    if (quiet())
        return;
    struct line line = {text, sizeof text - 1, 0};
    line.length = say_compose(denial, text, sizeof text - 1);
    if (!text_first_seen(&said, text_hash(TEXT_HASH_START, text)))
        return;
    line_put(&line, "\n");
    if (denial->drift) {
        put_renewal(&line);
    } else if (denial->effect) {
        const struct hint hint = {
            .policy = environment.policy,
            .effect = denial->effect,
            .name = denial->name,
            .model = denial->model,
            .revision = denial->revision,
            .sha256 = denial->sha256,
        };
        line_put(&line, "guard: to allow: ");
        hint_put(&line, &hint);
        line_put(&line, "\n");
    }
    say_raw(2, text, line.length);
}

void say_fault(const char *what, const char *subject, int error)
{
    char text[SAY_LINE];
    struct line line = {text, sizeof text, 0};
    line_put(&line, "guard: ");
    line_put(&line, what);
    line_put_visible(&line, subject);
    if (error) {
        line_put(&line, ": ");
        const char *description = strerrordesc_np(error);
        line_put(&line, description ? description : "unknown error");
    }
    line_put(&line, "\n");
    if (text_first_seen(&said, text_hash(TEXT_HASH_START, text)))
        say_raw(2, text, line.length);
}

void say_summary(unsigned long judged, unsigned long denied, unsigned long warned, bool audit)
{
    char text[SAY_LINE];
    if (!terminal || quiet() || (!denied && !warned))
        return;
    struct line line = {text, sizeof text, 0};
    line_put(&line, "guard: ");
    line_put_number(&line, judged);
    line_put(&line, judged == 1 ? " file judged, " : " files judged, ");
    line_put_number(&line, denied);
    line_put(&line, audit ? " would be denied, " : " denied, ");
    line_put_number(&line, warned);
    line_put(&line, warned == 1 ? " warning" : " warnings");
    line_put(&line, environment.log[0] ? "; see " : "; set GUARD_LOG to record them");
    line_put_visible(&line, environment.log);
    line_put(&line, "\n");
    say_raw(2, text, line.length);
}
