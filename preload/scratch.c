#include "scratch.h"

#include "raw.h"

#include <string.h>

/* A kept block begins with its own size. A slot is emptied by whoever gets it in exchange for NULL. */
static void *kept[SCRATCH_KEPT];

void *scratch_take_partly(size_t bytes, size_t cleared)
{
    for (unsigned i = 0; i < SCRATCH_KEPT; i++) {
        if (!__atomic_load_n(&kept[i], __ATOMIC_RELAXED))
            continue;
        void *block = __atomic_exchange_n(&kept[i], NULL, __ATOMIC_ACQ_REL), *none = NULL;
        if (block && *(size_t *)block == bytes) {
            memset(block, 0, cleared > sizeof(size_t) ? cleared : sizeof(size_t));
            return block;
        }
        if (block && !__atomic_compare_exchange_n(&kept[i], &none, block, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            raw_give(NULL, block, *(size_t *)block);
    }
    return raw_take(NULL, bytes);
}

void *scratch_take(void *context, size_t bytes)
{
    (void)context;
    return scratch_take_partly(bytes, bytes);
}

void *scratch_take_any(void *context, size_t bytes)
{
    (void)context;
    return scratch_take_partly(bytes, 0);
}

void scratch_give(void *context, void *pointer, size_t bytes)
{
    (void)context;
    for (unsigned i = 0; i < SCRATCH_KEPT && bytes >= sizeof(size_t) && bytes <= SCRATCH_SIZE_MAX; i++) {
        void *none = NULL;
        if (__atomic_load_n(&kept[i], __ATOMIC_RELAXED))
            continue;
        *(size_t *)pointer = bytes;
        if (__atomic_compare_exchange_n(&kept[i], &none, pointer, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return;
    }
    raw_give(NULL, pointer, bytes);
}
