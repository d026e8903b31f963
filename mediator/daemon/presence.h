// Presence: how `vgpuctl run` tells a mediator that a program is about to need it, before that program
// connects, and how it finds out that a mediator is there without costing it a session. A unix socket beside
// the first endpoint: the mediator says one line with its version and closes; with --idle-exit it stays until
// that process has ended. The daemon's main thread. Nothing is read from the peer.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "mediator/daemon/event_loop.h"

namespace vgpu::daemon {

class Presence {
 public:
  // `changed` is called when the number of holders has changed.
  Presence(EventLoop& loop, std::function<void()> changed) : loop_(loop), changed_(std::move(changed)) {}
  ~Presence() { stop(); }

  // `hold`: count the processes that ask.
  Status listen(const std::string& path, unsigned mode, bool hold);
  size_t holders() const { return holders_.size(); }
  void stop();

 private:
  void accept();
  void hold(UniqueFd pidfd);

  EventLoop& loop_;
  std::function<void()> changed_;
  std::string path_;
  UniqueFd listener_;
  bool holds_ = false;
  std::map<int, UniqueFd> holders_;
};

}  // namespace vgpu::daemon
