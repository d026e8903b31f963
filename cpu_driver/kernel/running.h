// What a worker thread is running right now: how a fault, a trap or a stop finds its way out of generated
// code. Internal to kernel/. One Running a call of Runner::run, on that call's stack, reached through a
// thread-local pointer.
#pragma once

#include <csetjmp>
#include <cstdint>

#include "cpu_driver/kernel/fiber.h"
#include "cpu_driver/kernel/runner.h"

namespace vgpu::kernel {

struct Running {
  sigjmp_buf out;
  const LoadedImage* image = nullptr;
  LaunchContext* launch = nullptr;
  const FiberStackPool* stacks = nullptr;
  uint32_t serviceDepth = 0;  // in a service that reads what the kernel points to
  RunOutcome outcome;
};

// initial-exec: read in a signal handler, where a lazily allocated thread-local could deadlock.
extern constinit thread_local Running* runningNow __attribute__((tls_model("initial-exec")));
inline Running* running() { return runningNow; }
inline void setRunning(Running* now) { runningNow = now; }

// Ends the running launch on this worker: run() returns `status`.
[[noreturn]] void endRun(RunStatus status, uintptr_t address = 0);

}  // namespace vgpu::kernel
