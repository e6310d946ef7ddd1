/* What guard keeps per thread: at most 64 bytes of initial-exec TLS, so that access never calls __tls_get_addr (which
 * may allocate) and the static TLS block has room for it. */
#ifndef GUARD_THREAD_H
#define GUARD_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct guard_thread {
    int32_t depth;        /* > 0: guard's own code runs on this thread; hooks pass through */
    int32_t last_read_fd; /* descriptor of the last read-family call, plus 1; 0: none */
    bool last_open_cache; /* the last judged open was a library's own cache */
    bool learning;        /* a harmless pickle of guard's own is being loaded (unpickler_learn.c) */
    uint8_t inherited;    /* enum origin of the thread that started this one (who.h) */
    uint8_t spare;
    uint32_t judged_what;  /* deed.c's: the last deed that an audit event judged, 0: none ... */
    /* unpickler.c's: the outermost C unpickler that raised an event on this thread. */
    uintptr_t unpickler_frame;  /* canonical frame address of its load(), 0: none */
    uintptr_t unpickler_return; /* what its return address slot held */
    uintptr_t unpickler_origin; /* origins of it and of pickle.py's, and the descriptor that made it ipc */
    uintptr_t unpickler_code;   /* the Python code that was innermost; an identity, never dereferenced */
    uintptr_t judged_code;      /* ... and the code that was innermost then */
    uint32_t ctypes_view; /* deeds.c's: the low half of the address that ctypes is about to view a buffer at */
};
_Static_assert(sizeof(struct guard_thread) <= 64, "static TLS is scarce");

extern __thread struct guard_thread guard_thread __attribute__((tls_model("initial-exec"), visibility("hidden")));

#endif
