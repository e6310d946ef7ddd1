/* The calling thread's own Python frames, read from memory without the GIL and without calling Python.
 *
 * The layout comes from frame_offsets.def (3.8 to 3.12) or from the interpreter's own debug offsets (3.13 on), and is
 * believed only once it was compared with the C API at an audit event. In doubt there are no Python frames. */
#ifndef GUARD_FRAMES_H
#define GUARD_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

struct frame {
    char file[256];    /* co_filename, UTF-8; cut from the front, so that the file's name stays, and then starts with "..." */
    char function[96]; /* co_name, UTF-8, cut at the end */
    int line;          /* 0: unknown */
};

/* Fills at most `max` frames, innermost first. Returns how many; 0 when this thread runs no Python, the interpreter is
 * ending, or its layout is not known. Async-signal-safe, any thread, GIL held or not; allocates nothing, keeps errno. */
unsigned frames_walk(struct frame *frames, unsigned max);

/* The same walk, code objects only (for comparing identities; never to be dereferenced without the GIL). `max` may be large;
 * costs a few ns a frame. */
unsigned frames_codes(const void **codes, unsigned max);

/* How many frames this thread has, at most `max`. */
unsigned frames_count(unsigned max);

/* Does any of the thread's frames run one of `codes`? Looks at no more than FRAMES_SEARCHED frames. */
#define FRAMES_SEARCHED 4096u
bool frames_any(const void *const *codes, unsigned count);

/* With the GIL held: compares a walk with the C API, once. Until it agreed the functions above return nothing. */
void frames_check(void);

/* Was the layout compared and found right? Async-safe. */
bool frames_known(void);

/* Was the layout compared and found wrong or unknown, so that there will never be Python frames? Async-safe. */
bool frames_unknown(void);

#endif
