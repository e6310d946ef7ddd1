/* Does this process run models at all? */
#ifndef GUARD_RUNTIME_H
#define GUARD_RUNTIME_H

#include <stdbool.h>

/* A Python interpreter or a native model runtime is loaded now. Looked up by symbol (dlsym), so only for files that
 * already look like models. Also installs the audit hook in an interpreter that was loaded after the start. */
bool runtime_present(void);

#endif
