/* The calling thread's own Python frames, read from memory without the GIL and without calling Python.
 *
 * The layout comes from frame_offsets.def (3.8 to 3.12) or from the interpreter's own debug offsets (3.13 on), and is
 * believed only once it was compared with the C API at an audit event. In doubt there are no Python frames. */
#ifndef GUARD_FRAMES_H
#define GUARD_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

struct frame {
    char file[256];    /* co_filename, UTF-8; cut from the front, then starting with "...", so that the name stays */
    char function[96]; /* co_name, UTF-8, cut at the end */
    int line;          /* 0: unknown */
};

/* Fills at most `max` frames, innermost first. Returns how many; 0 when this thread runs no Python, the interpreter is
 * ending, or its layout is not known. Async-signal-safe, any thread, GIL held or not; allocates nothing, keeps
 * errno. */
unsigned frames_walk(struct frame *frames, unsigned max);

/* Why there are none here, for records. Any thread. */
const char *frames_missing(void);

/* The code object that the innermost frame runs: an identity to compare, never to be dereferenced without the GIL.
 * NULL where frames_walk() finds nothing. */
const void *frames_innermost(void);

/* How many frames run Python code; stops at FRAMES_SEARCHED. */
#define FRAMES_SEARCHED 4096u
unsigned frames_count(void);

/* How many of the innermost `depth` frames run one of `codes`. */
unsigned frames_running(const void *const *codes, unsigned count, unsigned depth);

/* How far up, from 0, the innermost frame that runs one of `codes` stands; FRAMES_SEARCHED when none does. */
unsigned frames_find(const void *const *codes, unsigned count);

/* The innermost code that `is` knows, and how far up it stands; NULL when there is none. `is` only compares
 * identities. */
const void *frames_find_such(bool (*is)(const void *code), unsigned *at);

/* Does `code`, a frame's code, claim to come from a file of this (short, ASCII) name? For names that nobody gains by
 * claiming. To be called from within frames_find_such() only. */
bool frames_code_claims(const void *code, const char *file);

/* With the GIL held: compares a walk with the C API, once. Until it agreed the functions above return nothing. */
void frames_check(void);

/* The interpreter ends: nothing is walked until another one's frames were compared. */
void frames_forget(void);

/* Was the layout compared and found right? Async-safe. */
bool frames_known(void);

/* Was the layout compared and found wrong or unknown, so that there will never be Python frames? Async-safe. */
bool frames_unknown(void);

#endif
