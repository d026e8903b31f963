// How an executor confines itself, in two steps, so that a guest who takes it over holds little more than it
// had. Runs in the executor's main thread: enterDriverStage before the driver is loaded and before any other
// thread is, enterGuestStage when driver and carrier stand and no byte of the guest has been read. Neither
// step can be undone. arrangeBeforeExec runs in the daemon's child between fork and exec (async-signal-safe).
// Reading is confined to system libraries, the driver's folder and the cache by Landlock where the kernel has
// it.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "mediator/link/executor_arguments.h"

namespace vgpu::link {

// Legacy address layout, so that the executor's own libraries and maps lie far from where a guest's malloc
// and stack are: a host pointer that a guest hands to a kernel then faults instead of hitting our memory.
// Dies with the daemon.
void arrangeBeforeExec(int daemonProcess);

struct SandboxPaths {
  std::span<const std::string> readable;  // folders and files beside the system's libraries
  int cacheDirectory = -1;                // may be written below; -1: none
};

// no_new_privs, no capabilities, rlimits (no core, no RLIMIT_AS), Landlock, and a filter that ends the
// process at once for what neither a driver nor an executor ever does (ptrace, exec of anything, mount, bpf,
// new namespaces).
Status enterDriverStage(SandboxProfile profile, const ExecutorLimits& limits, const SandboxPaths& paths);

// From here only the calls that computing needs, in all threads. Others answer ENOSYS, so that libraries take
// their fallback; sockets cannot be made (EACCES); threads can (clone with CLONE_THREAD), processes cannot.
Status enterGuestStage(SandboxProfile profile);

}  // namespace vgpu::link
