// The process's handler for SIGSEGV, SIGBUS, SIGILL and SIGFPE: faults of generated code end their kernel,
// faults of a copy end the copy, all others go to the handler found before. Installed once, by cuInit.
#pragma once

#include <csetjmp>

namespace vgpu::cpu {

void installFaultHandlers();

// Runs `access`, which only reads and writes memory of the program (no locks, nothing to destroy). False: it
// faulted.
extern thread_local constinit sigjmp_buf* copyFault;
template <class Access>
bool survivesFault(Access access) {
  sigjmp_buf buffer;
  if (sigsetjmp(buffer, 0) != 0) {
    copyFault = nullptr;
    return false;
  }
  copyFault = &buffer;
  access();
  copyFault = nullptr;
  return true;
}

}  // namespace vgpu::cpu
