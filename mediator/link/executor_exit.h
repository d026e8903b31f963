// How an executor process tells the daemon, by its exit code, why it ended. Whatever else it ends with (a
// signal, another code) is a crash, and counted as one.
#pragma once

namespace vgpu::link {

enum ExecutorExit : int {
  kServed = 0,     // the guest is gone, or never came
  kRefused = 2,    // the guest was told why it gets no session
  kViolation = 3,  // the guest broke the protocol; the reason is logged and counted
  kFailed = 4,     // the executor or its driver could not start
};

}  // namespace vgpu::link
