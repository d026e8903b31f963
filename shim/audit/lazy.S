// The first call of a redirected function. On the stack: the trampolines, the index of the slot, then what the caller
// left. Finds the target and goes there with every argument register as it was.
    .text
    .hidden vgpuAuditLazy
    .globl vgpuAuditLazy
    .type vgpuAuditLazy, @function
vgpuAuditLazy:
    .cfi_startproc
    .cfi_adjust_cfa_offset 16
    subq $200, %rsp
    .cfi_adjust_cfa_offset 200
    movq %rax, 0(%rsp)
    movq %rdi, 8(%rsp)
    movq %rsi, 16(%rsp)
    movq %rdx, 24(%rsp)
    movq %rcx, 32(%rsp)
    movq %r8, 40(%rsp)
    movq %r9, 48(%rsp)
    movq %r10, 56(%rsp)
    movups %xmm0, 64(%rsp)
    movups %xmm1, 80(%rsp)
    movups %xmm2, 96(%rsp)
    movups %xmm3, 112(%rsp)
    movups %xmm4, 128(%rsp)
    movups %xmm5, 144(%rsp)
    movups %xmm6, 160(%rsp)
    movups %xmm7, 176(%rsp)
    movq 200(%rsp), %rdi
    movq 208(%rsp), %rsi
    call vgpuAuditResolve
    movq %rax, %r11
    movq 0(%rsp), %rax
    movq 8(%rsp), %rdi
    movq 16(%rsp), %rsi
    movq 24(%rsp), %rdx
    movq 32(%rsp), %rcx
    movq 40(%rsp), %r8
    movq 48(%rsp), %r9
    movq 56(%rsp), %r10
    movups 64(%rsp), %xmm0
    movups 80(%rsp), %xmm1
    movups 96(%rsp), %xmm2
    movups 112(%rsp), %xmm3
    movups 128(%rsp), %xmm4
    movups 144(%rsp), %xmm5
    movups 160(%rsp), %xmm6
    movups 176(%rsp), %xmm7
    addq $216, %rsp
    .cfi_adjust_cfa_offset -216
    jmp *%r11
    .cfi_endproc
    .size vgpuAuditLazy, . - vgpuAuditLazy
    .section .note.GNU-stack, "", @progbits
