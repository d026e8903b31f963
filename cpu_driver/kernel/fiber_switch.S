// Switching stacks on x86-64, System V: callee-saved registers go to the stack that is left, its pointer to *rdi.
// The floating-point control words are the same for all of a worker's flows and are not saved.
    .text
    .globl vgpuFiberSwitch
    .hidden vgpuFiberSwitch
    .type vgpuFiberSwitch, @function
vgpuFiberSwitch:                    // (void** save, void* to)
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size vgpuFiberSwitch, .-vgpuFiberSwitch

    .globl vgpuFiberStart
    .hidden vgpuFiberStart
    .type vgpuFiberStart, @function
vgpuFiberStart:                     // (void** save, void* stackTop, void (*body)(void*), void* argument)
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    xorl %ebp, %ebp
    movq %rcx, %rdi
    callq *%rdx
    ud2
    .cfi_endproc
    .size vgpuFiberStart, .-vgpuFiberStart
    .section .note.GNU-stack,"",@progbits
