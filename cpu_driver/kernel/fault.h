// Faults of generated code. The process's owner of SIGSEGV, SIGBUS, SIGILL and SIGFPE (the runtime) installs
// its handler with SA_SIGINFO | SA_ONSTACK and asks recoverFromFault first. Async-signal-safe; takes no lock.
// An alternate stack must be set on every worker thread: a fiber that overruns its stack faults on its guard
// page.
#pragma once

#include <csignal>
#include <cstdint>

namespace vgpu::kernel {

// If the faulting instruction lies in a loaded image (or in a service called by one) of this thread's running
// Runner: does not return, run() gives the outcome. Returns false for everything else: it is a bug of ours,
// let it crash.
bool recoverFromFault(int signal, const siginfo_t* info, void* ucontext);

// Installs a handler for those signals that calls recoverFromFault and else the handler found before. For
// tests and programs without another owner; idempotent.
void installFaultHandler();

// An alternate signal stack for the calling thread, released when the thread ends.
void ensureSignalStack();

// Whether `address` lies in the code of a loaded image.
bool inGeneratedCode(uintptr_t address);

}  // namespace vgpu::kernel
