#include "mediator/daemon/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

namespace vgpu::daemon {

Result<EventLoop> EventLoop::make() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return errnoError("epoll_create1");
  return EventLoop(std::move(epoll));
}

Status EventLoop::watch(int fd, Callback readable) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return errnoError("watch a descriptor");
  watched_[fd] = std::make_shared<Callback>(std::move(readable));
  return success();
}

void EventLoop::forget(int fd) {
  if (watched_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::at(MonotonicTime when, Callback callback) {
  const TimerId id = ++lastTimer_;
  timers_.emplace(std::pair(when, id), std::move(callback));
  timerMoments_.emplace(id, when);
  return id;
}

void EventLoop::cancel(TimerId timer) {
  const auto moment = timerMoments_.find(timer);
  if (moment == timerMoments_.end()) return;
  timers_.erase({moment->second, timer});
  timerMoments_.erase(moment);
}

int EventLoop::millisecondsToNextTimer() const {
  if (timers_.empty()) return -1;
  const auto wait =
      std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first - now()).count();
  return static_cast<int>(std::clamp<int64_t>(wait, 0, 60'000));
}

void EventLoop::runDueTimers() {
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now()) {
    const auto first = timers_.begin();
    const Callback callback = std::move(first->second);
    timerMoments_.erase(first->first.second);
    timers_.erase(first);
    callback();
  }
}

void EventLoop::run() {
  std::array<epoll_event, 64> events;
  while (!stopped_) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), millisecondsToNextTimer());
    // A callback may close a descriptor whose event is already here: it is then no longer watched. If its
    // number is taken again at once, the newcomer's callback is called without reason, which all callbacks
    // bear.
    for (int i = 0; i < count && !stopped_; ++i) {
      const auto watched = watched_.find(events[static_cast<size_t>(i)].data.fd);
      if (watched == watched_.end()) continue;
      const auto keptAlive = watched->second;
      (*keptAlive)();
    }
    runDueTimers();
  }
}

}  // namespace vgpu::daemon
