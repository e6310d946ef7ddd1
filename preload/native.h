/* The calling thread's native stack, by libunwind.
 *
 * libunwind is linked in and cut off from the outside (unwind_wrap.c): it opens no descriptor, never aborts, calls
 * none of our hooks, and reads no memory that is not there. */
#ifndef GUARD_NATIVE_H
#define GUARD_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Finds the loader's lock-free look-up (glibc 2.35 and later). From the constructor: uses dlsym. Without it walks work
 * by dl_iterate_phdr, which takes a lock of the loader's. */
void native_prepare(void);

struct native_frame {
    uintptr_t ip;    /* return address, or where the innermost frame is */
    uintptr_t start; /* where its function starts by its unwind information; 0: unknown */
    uintptr_t end;   /* behind its function; 0: unknown */
    uintptr_t cfa;   /* the stack pointer of its caller; 0: unknown */
};

enum native_answer { NATIVE_GO_ON, NATIVE_ENOUGH };
typedef enum native_answer (*native_visitor)(void *context, const struct native_frame *frame);

/* Visits this thread's frames, innermost (below this function) first, at most `max`. `details`: start and end are
 * filled in as well. True: the thread's first frame was reached, by unwind information alone (no guess on the way). No
 * frames when a walk is under way on this very thread (a signal came in). The visitor must not walk or jump. Allocates
 * nothing, keeps errno; may be called from any hook. 0.1 us a frame, 0.4 with details. */
bool native_visit(native_visitor visit, void *context, unsigned max, bool details);

/* The same into an array. Returns how many. */
unsigned native_walk(struct native_frame *frames, unsigned max, bool details);

/* This thread jumped away, perhaps out of a walk: lets others in again. Async-signal-safe. */
void native_leave(void);

/* Where the function that holds `address` starts and ends by its unwind information; both 0 when there is none. */
void native_function(uintptr_t address, uintptr_t *start, uintptr_t *end);

/* Can the aligned word at `address` be read? One system call without effect; async-safe. */
bool native_readable(uintptr_t address);

/* For people: the object and symbol that hold `ip`. Static or loader-owned strings; NULL: unknown. Takes the loader's
 * lock (dladdr): only for records. */
struct native_symbol {
    const char *object; /* path as the loader knows it */
    const char *symbol; /* nearest exported symbol */
};
struct native_symbol native_name(uintptr_t ip);

#endif
