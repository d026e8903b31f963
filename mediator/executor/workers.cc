#include "mediator/executor/workers.h"

#include <system_error>
#include <thread>

#include "base/log.h"

namespace vgpu::executor {
namespace {

constexpr std::chrono::seconds kIdleLife{5};

}  // namespace

void Workers::finish() {
  std::unique_lock lock(mutex_);
  ending_ = true;
  waiting_.clear();
  wanted_.notify_all();
  ended_.wait(lock, [this] { return threads_ == 0; });
}

void Workers::run(std::function<void()> work) {
  std::lock_guard lock(mutex_);
  if (ending_) return;
  waiting_.push_back(std::move(work));
  if (idle_ >= waiting_.size()) return wanted_.notify_one();
  if (threads_ >= most_) return;  // one that is busy takes it when it is done
  try {
    std::thread([this] { this->work(); }).detach();
    ++threads_;
  } catch (const std::system_error& error) {
    log::warning("no further thread for waiting", {{"cause", error.what()}});
  }
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (waiting_.empty()) {
      ++idle_;
      const bool woken = wanted_.wait_for(lock, kIdleLife, [this] { return ending_ || !waiting_.empty(); });
      --idle_;
      if (!woken) break;
      continue;
    }
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
  --threads_;
  ended_.notify_all();
}

}  // namespace vgpu::executor
