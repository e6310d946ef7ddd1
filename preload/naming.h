/* Where a model's name is written down: by the application, which asked for the model then, or in a library, which
 * would load it whatever the application asks for. */
#ifndef GUARD_NAMING_H
#define GUARD_NAMING_H

#include "frames.h"
#include "model.h"

/* Source files larger than this are not looked into: what people write by hand is smaller. */
#define NAMING_FILE_MAX (2u << 20)

enum naming_by { NAMING_NONE, NAMING_APP, NAMING_ARGUMENTS, NAMING_ENVIRONMENT, NAMING_LIBRARY };
const char *naming_by_name(enum naming_by by); /* as records spell it; NULL for NONE */

struct naming {
    enum naming_by by;
    char file[256]; /* the source and the line, for APP and LIBRARY */
    int line;
};

/* Looks for a string literal that is the name of `model`, or of its file at `path`, in the sources of the application's
 * frames and of the script that was started, in the program's arguments and environment, then in the sources of
 * installed packages. Comments and texts in triple quotes name nothing: documentation is full of examples. Opens those
 * files by raw calls; takes no malloc; keeps errno. */
void naming_find(const struct model_identity *model, const char *path, const struct frame *frames, unsigned frame_count,
                 struct naming *naming);

/* For tests: the line of the first such literal in a Python source, 0: none. `strict`: only names with a slash. */
int naming_in_source(const char *text, size_t length, const struct model_identity *model, const char *path,
                     bool strict);

#endif
