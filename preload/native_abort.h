/* Between native.c and unwind_wrap.c: how libunwind gives up. */
#ifndef GUARD_NATIVE_ABORT_H
#define GUARD_NATIVE_ABORT_H

/* Ends the walk under way on this thread. To be called from below native_walk() only. */
void native_abort(void) __attribute__((noreturn));

#endif
