/* Memory for one judgement, kept for the next: data sets are read as thousands of small arrays, and mapping, faulting
 * in and unmapping the same few blocks each time would cost more than the judgement. */
#ifndef GUARD_SCRATCH_H
#define GUARD_SCRATCH_H

#include <stddef.h>

/* Blocks kept, and the largest that is: a scan takes two arena blocks, its bounce buffer and the judgement itself. */
#define SCRATCH_KEPT 6
#define SCRATCH_SIZE_MAX (512u << 10)

/* As raw_take and raw_give, which they fall back on: zeroed memory or NULL; give gets the same size. Any thread, no
 * locks; fit struct scan_memory. */
void *scratch_take(void *context, size_t bytes);
void scratch_give(void *context, void *pointer, size_t bytes);

/* As scratch_take, with any content. */
void *scratch_take_any(void *context, size_t bytes);

/* As scratch_take, but only the first `cleared` bytes are sure to be zero. */
void *scratch_take_partly(size_t bytes, size_t cleared);

#endif
