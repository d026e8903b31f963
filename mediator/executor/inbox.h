// Inbox: work that other threads hand to the dispatcher, which owns the session's tables. Done before the
// next record. put() from any thread; drain() from the dispatcher. `pending` costs the dispatcher one relaxed
// load a record.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

namespace vgpu::executor {

class Inbox {
 public:
  void put(std::function<void()> work) {
    std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    pending_.store(true, std::memory_order_release);
  }
  bool pending() const { return pending_.load(std::memory_order_acquire); }
  void drain() {
    std::vector<std::function<void()>> work;
    {
      std::lock_guard lock(mutex_);
      work.swap(work_);
      pending_.store(false, std::memory_order_relaxed);
    }
    for (auto& item : work) item();
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> pending_{false};
  std::vector<std::function<void()>> work_;
};

}  // namespace vgpu::executor
