/* dlopen() and dlmopen(): a check in C, then a jump. ld.so takes the caller's return address to find out whose RPATH, RUNPATH
 * and $ORIGIN hold, so the real function must see the very frame that called us.
 *
 * guard_check_dlopen(path, flags, caller) answers with the path and flags to go on with, in two registers, and has seen to it
 * that the real function is known. */
    .text
#if defined(__x86_64__)
    .globl dlopen
    .type dlopen, %function
dlopen:
    .cfi_startproc
    endbr64
    movq (%rsp), %rdx
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    call guard_check_dlopen
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    movq %rax, %rdi
    movq %rdx, %rsi
    jmp *guard_real_dlopen(%rip)
    .cfi_endproc
    .size dlopen, .-dlopen

    .globl dlmopen
    .type dlmopen, %function
dlmopen:
    .cfi_startproc
    endbr64
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    movq %rsi, %rdi
    movl %edx, %esi
    movq 8(%rsp), %rdx
    call guard_check_dlopen
    popq %rdi
    .cfi_adjust_cfa_offset -8
    movq %rax, %rsi
    jmp *guard_real_dlmopen(%rip)
    .cfi_endproc
    .size dlmopen, .-dlmopen
#elif defined(__aarch64__)
/* x16: a branch by it may land on a function's "bti c". */
    .globl dlopen
    .type dlopen, %function
dlopen:
    .cfi_startproc
    hint #34 /* bti c */
    stp x29, x30, [sp, #-16]!
    .cfi_def_cfa_offset 16
    .cfi_offset x29, -16
    .cfi_offset x30, -8
    mov x29, sp
    mov x2, x30
    bl guard_check_dlopen
    ldp x29, x30, [sp], #16
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
    adrp x16, guard_real_dlopen
    ldr x16, [x16, :lo12:guard_real_dlopen]
    br x16
    .cfi_endproc
    .size dlopen, .-dlopen

    .globl dlmopen
    .type dlmopen, %function
dlmopen:
    .cfi_startproc
    hint #34
    stp x29, x30, [sp, #-32]!
    .cfi_def_cfa_offset 32
    .cfi_offset x29, -32
    .cfi_offset x30, -24
    mov x29, sp
    str x0, [sp, #16]
    mov x0, x1
    mov w1, w2
    mov x2, x30
    bl guard_check_dlopen
    mov x2, x1
    mov x1, x0
    ldr x0, [sp, #16]
    ldp x29, x30, [sp], #32
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
    adrp x16, guard_real_dlmopen
    ldr x16, [x16, :lo12:guard_real_dlmopen]
    br x16
    .cfi_endproc
    .size dlmopen, .-dlmopen
#endif
    .section .note.GNU-stack,"",%progbits
