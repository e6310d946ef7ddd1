/* Talk between a program's own processes: multiprocessing, loky, DataLoader. */
#ifndef GUARD_IPC_H
#define GUARD_IPC_H

#include <stdbool.h>

/* Is `fd` the end of an anonymous pipe, or a local socket whose other end lives in this process's family (an ancestor,
 * a descendant, a sibling, or itself)? Raw system calls; keeps errno. A name in the file system (FIFO) or a network
 * peer is not. */
bool ipc_descriptor(int fd);

#endif
