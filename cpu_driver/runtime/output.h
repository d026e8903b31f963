// What kernels print: gathered while a launch runs, delivered when it ends, so that a call that waits for the
// launch returns after its text has arrived. Worker threads add and deliver. Goes to the process's stdout and
// stderr, or to the hook that an executor installed. The text comes from the tenant's kernels.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

namespace vgpu::cpu {

using OutputHook = void (*)(int fd, const void* bytes, size_t sizeBytes, void* argument);

class Output {
 public:
  // fd 1: printf; fd 2: assertions.
  void write(int fd, std::string_view text);
  void deliver();

  // For the whole process; null restores stdout and stderr.
  static void setHook(OutputHook hook, void* argument);

 private:
  std::mutex mutex_;
  std::string pending_[2];
  // Every launch asks. A launch that printed has ended before whoever delivers for it looks.
  std::atomic<bool> any_{false};
};

}  // namespace vgpu::cpu
