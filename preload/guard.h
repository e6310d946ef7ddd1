/* The centre of the preloaded library: its state, and the two questions that hooks ask. */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include "../policy/lock.h"
#include "frames.h"
#include "thread.h"

/* UNINIT -> BUSY -> READY, once. Before READY hooks pass through by raw system calls. */
extern int guard_state_word;
enum { GUARD_UNINIT, GUARD_BUSY, GUARD_READY, GUARD_OFF };
static inline bool guard_ready(void) { return __atomic_load_n(&guard_state_word, __ATOMIC_ACQUIRE) == GUARD_READY; }

/* May this thread judge now? False before READY, when off, and when re-entered from guard's own code. */
static inline bool guard_may_judge(void) { return guard_ready() && guard_thread.depth == 0; }

/* Brackets guard's own work: keeps errno and marks the thread so that hooks reached from inside pass through. */
struct guard_section {
    int saved_errno;
    int32_t depth; /* outside it; not counted down, because a jump may have ended what lay within (hook_jump.c) */
};
struct guard_section guard_enter(void);
void guard_leave(struct guard_section section);

/* Is this a vfork (or CLONE_VM) child that runs on its parent's memory? Then nothing of guard's state may change. A
 * forked child is noticed and re-initialised by the first call. One system call. */
bool guard_borrowed_memory(void);

/* The policy in force, loaded at the first call (malloc, file reads by raw calls); NULL when it cannot be loaded or
 * trusted, or when the environment holds nonsense: guard_fault() then says what is wrong. Thread-safe without locks. */
const struct policy *guard_policy(void);
const char *guard_fault(void);

/* The lock in force, loaded with the policy; NULL: none is set (or audit goes on without a faulty one). */
const struct lock *guard_lock(void);

/* MODE_ENFORCE or MODE_AUDIT (MODE_OFF processes never get here). Loads the policy. */
enum policy_mode guard_mode(void);

/* Judges a live effect, records it when it is not trivial, prints the human line for a warning-free denial, and returns
 * what the program is to see: DECISION_DENY only in enforce mode. `frames` may be NULL: they are then walked here when
 * needed. `message` (NULL or `size` bytes) receives "guard: denied ..." for an exception's text. Takes no lock across
 * calls out; allocates nothing after the policy is loaded. Call inside guard_enter/guard_leave. */
enum decision guard_decide(struct subject *subject, const struct frame *frames, unsigned frame_count, char *message,
                           size_t size);
/* The same for an effect already judged (settled) by the caller. */
enum decision guard_act(const struct subject *subject, const struct judgement *judgement, const struct frame *frames,
                        unsigned frame_count, char *message, size_t size);

/* Judges the file behind `fd`, just opened as `path` relative to `dirfd` (AT_FDCWD; NULL path: unknown). True: the
 * program may have it. Denials and audits are recorded and printed. Keeps errno, the descriptor's position and the
 * descriptor. */
bool guard_check_fd(int fd, int dirfd, const char *path);

/* The judged file that this thread read last and still holds open, so that what an unpickler does can be laid at the
 * door of a model: its path as the program named it. False: none. For naming and for rules that name a model. */
bool guard_file_being_read(char *path, size_t size);

/* Was the last judged open on this thread one of a library's own caches (policy "caches", owned by the user)? */
static inline bool thread_last_open_was_cache(void) { return guard_thread.last_open_cache; }

#endif
