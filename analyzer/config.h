/* Model configs: JSON whose meaning hangs on its name and on the folder it lies in. */
#ifndef GUARD_CONFIG_H
#define GUARD_CONFIG_H

#include "format.h"

/* Analyses `source` as the config that scan->request->path names. Called at depth 0, in a model root only. False: that
 * name is no config, or the bytes are not its format; nothing was reported. */
bool config_run(struct scan *scan, const struct source *source);

#endif
