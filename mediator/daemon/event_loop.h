// The daemon's one thread of decisions: descriptors that become readable, and moments that come. Callbacks
// run on the thread that runs the loop and may add and remove what they like, also themselves. Owns no
// descriptor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::daemon {

class EventLoop {
 public:
  using Callback = std::function<void()>;
  using TimerId = uint64_t;

  static Result<EventLoop> make();

  Status watch(int fd, Callback readable);
  void forget(int fd);
  TimerId at(MonotonicTime when, Callback callback);
  TimerId after(std::chrono::milliseconds delay, Callback callback) {
    return at(now() + delay, std::move(callback));
  }
  void cancel(TimerId timer);

  void run();
  void stop() { stopped_ = true; }

 private:
  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  int millisecondsToNextTimer() const;
  void runDueTimers();

  UniqueFd epoll_;
  std::unordered_map<int, std::shared_ptr<Callback>> watched_;
  std::map<std::pair<MonotonicTime, TimerId>, Callback> timers_;
  std::unordered_map<TimerId, MonotonicTime> timerMoments_;
  TimerId lastTimer_ = 0;
  bool stopped_ = false;
};

}  // namespace vgpu::daemon
