/* syscall(): opens and closes by number go to guard_syscall, everything else jumps on to libc with registers and stack
 * as the caller left them, because a call such as SYS_vfork or SYS_clone returns twice and must not return through a
 * frame of ours. Before the constructor ran guard_syscall_plain asks the kernel itself. */
#include <sys/syscall.h>

    .text
    .globl syscall
    .type syscall, %function
#if defined(__x86_64__)
syscall:
    .cfi_startproc
    endbr64
    cmpq $SYS_openat, %rdi
    je guard_syscall
    cmpq $SYS_open, %rdi
    je guard_syscall
    cmpq $SYS_openat2, %rdi
    je guard_syscall
    cmpq $SYS_close, %rdi
    je guard_syscall
    movq guard_real_syscall(%rip), %rax
    testq %rax, %rax
    je guard_syscall_plain
    jmp *%rax
    .cfi_endproc
#elif defined(__aarch64__)
syscall:
    .cfi_startproc
    hint #34 /* bti c */
    cmp x0, #SYS_openat
    b.eq guard_syscall
    mov x16, #SYS_openat2
    cmp x0, x16
    b.eq guard_syscall
    cmp x0, #SYS_close
    b.eq guard_syscall
    adrp x16, guard_real_syscall
    ldr x16, [x16, :lo12:guard_real_syscall]
    cbz x16, guard_syscall_plain
    br x16
    .cfi_endproc
#endif
    .size syscall, .-syscall
    .section .note.GNU-stack,"",%progbits
