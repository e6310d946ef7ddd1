/* dlopen() and dlmopen(): a check in C, then a jump. ld.so takes the caller's return address to find out whose RPATH, RUNPATH
 * and $ORIGIN hold, so the real function must see the very frame that called us.
 *
 * guard_check_dlopen(path, flags, caller) answers with the path and flags to go on with, in two registers, and has seen to it
 * that the real function is known. */
    .text
#if defined(__x86_64__)
/* What is pushed comes back as the first argument: dlmopen()'s namespace, or the path for dlopen(). */
    .macro enter name
    .globl \name
    .type \name, %function
\name:
    .cfi_startproc
    endbr64
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    .endm

    .macro go_on name
    popq %rdi
    .cfi_adjust_cfa_offset -8
    jmp *guard_real_\name(%rip)
    .cfi_endproc
    .size \name, .-\name
    .endm

    enter dlopen
    movq 8(%rsp), %rdx
    call guard_check_dlopen
    movq %rax, (%rsp)
    movq %rdx, %rsi
    go_on dlopen

    enter dlmopen
    movq %rsi, %rdi
    movl %edx, %esi
    movq 8(%rsp), %rdx
    call guard_check_dlopen
    movq %rax, %rsi
    go_on dlmopen
#elif defined(__aarch64__)
/* x16: a branch by it may land on a function's "bti c". */
    .macro enter name
    .globl \name
    .type \name, %function
\name:
    .cfi_startproc
    hint #34 /* bti c */
    stp x29, x30, [sp, #-32]!
    .cfi_def_cfa_offset 32
    .cfi_offset x29, -32
    .cfi_offset x30, -24
    mov x29, sp
    .endm

    .macro go_on name
    ldp x29, x30, [sp], #32
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
    adrp x16, guard_real_\name
    ldr x16, [x16, :lo12:guard_real_\name]
    br x16
    .cfi_endproc
    .size \name, .-\name
    .endm

    enter dlopen
    mov x2, x30
    bl guard_check_dlopen
    go_on dlopen

    enter dlmopen
    str x0, [sp, #16]
    mov x0, x1
    mov w1, w2
    mov x2, x30
    bl guard_check_dlopen
    mov x2, x1
    mov x1, x0
    ldr x0, [sp, #16]
    go_on dlmopen
#endif
    .section .note.GNU-stack,"",%progbits
