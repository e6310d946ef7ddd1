/* Does TorchScript's interpreter run on this thread? What a TorchScript program does raises no audit event, because no
 * Python takes part: its frames on the native stack tell. */
#ifndef GUARD_TORCHSCRIPT_H
#define GUARD_TORCHSCRIPT_H

#include "verdicts.h"

#include <stdbool.h>

/* Is libtorch here, or about to be? Grows only. */
enum torchscript_state { TORCHSCRIPT_NONE, TORCHSCRIPT_COMING, TORCHSCRIPT_FOUND };
extern enum torchscript_state torchscript_state;
static inline bool torchscript_known(void)
{
    return __atomic_load_n(&torchscript_state, __ATOMIC_ACQUIRE) != TORCHSCRIPT_NONE;
}

/* The library at `path` is about to be loaded: is it torch's? Its interpreter is looked for when somebody asks whether
 * it runs. */
void torchscript_notice(const char *path);

/* The TorchScript file at `path` was judged, and is read now. */
void torchscript_note_file(const char *path);

/* The one such file of this process, to which what a program does can be laid. False: there is none, or several. */
bool torchscript_file(char path[VERDICT_PATH]);

/* Is the innermost interpreter on this thread's stack TorchScript's? False when Python stands between (a method that
 * TorchScript left to Python). Any hook; microseconds, of which a thread that runs Python pays one or two. */
bool torchscript_running(void);

#endif
