#include "cpu_driver/runtime/output.h"

#include <cstdio>
#include <utility>

namespace vgpu::cpu {
namespace {

// A kernel that prints without end is heard while it runs.
constexpr size_t kDeliverAtBytes = 64 * 1024;

struct Hook {
  std::mutex mutex;
  OutputHook function = nullptr;
  void* argument = nullptr;
};

Hook& hook() {
  static auto* kHook = new Hook;
  return *kHook;
}

// The process's own stdio, so that a program's text and its kernels' text keep their order.
void send(int fd, const std::string& text) {
  if (text.empty()) return;
  Hook& target = hook();
  std::lock_guard lock(target.mutex);
  if (target.function) return target.function(fd, text.data(), text.size(), target.argument);
  std::FILE* file = fd == 1 ? stdout : stderr;
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

}  // namespace

void Output::setHook(OutputHook function, void* argument) {
  Hook& target = hook();
  std::lock_guard lock(target.mutex);
  target.function = function;
  target.argument = argument;
}

void Output::write(int fd, std::string_view text) {
  bool full = false;
  {
    std::lock_guard lock(mutex_);
    std::string& pending = pending_[fd - 1];
    pending += text;
    any_.store(true, std::memory_order_relaxed);
    full = pending.size() >= kDeliverAtBytes;
  }
  if (full) deliver();
}

void Output::deliver() {
  if (!any_.load(std::memory_order_relaxed)) return;
  std::string pending[2];
  {
    std::lock_guard lock(mutex_);
    any_.store(false, std::memory_order_relaxed);
    for (int i = 0; i < 2; ++i) std::swap(pending[i], pending_[i]);
  }
  send(1, pending[0]);
  send(2, pending[1]);
}

}  // namespace vgpu::cpu
