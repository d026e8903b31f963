// Where sessions get their executors: one is kept started ahead, for whom the last came, because
// loading a driver takes longer than anything else in a session's beginning. It also reports which devices
// there are, before any guest has a say. Main thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "mediator/daemon/event_loop.h"
#include "mediator/daemon/executor_launch.h"
#include "mediator/daemon/session_table.h"

namespace vgpu::daemon {

class ExecutorPool {
 public:
  ExecutorPool(EventLoop& loop, SessionTable& table, VgpuTable& vgpus, Installation installation)
      : loop_(loop), table_(table), vgpus_(vgpus), installation_(std::move(installation)) {}
  ~ExecutorPool() { stop(); }

  // From now on executors are started so; one that waits with other arguments is let go.
  void configure(const Configuration& configuration);
  Result<ExecutorProcess> take(const Placement& placement);
  // Starts the next one after a while, in which the session that has just begun has the processors to itself.
  void prestartLater(const Placement& placement);
  void prestartNow(const Placement& placement);
  void stop();

  const Installation& installation() const { return installation_; }

 private:
  void dropWaiting();
  void onReport();
  void onDeath();
  void retryAfterFailure(const std::string& reason);

  EventLoop& loop_;
  SessionTable& table_;
  VgpuTable& vgpus_;
  const Installation installation_;
  Configuration configuration_;
  std::optional<ExecutorProcess> waiting_;
  Placement waitingFor_;
  bool reported_ = false;
  std::vector<link::DeviceReport> devices_;  // all that the driver has, when it last said so
  bool stopped_ = false;
  EventLoop::TimerId timer_ = 0;
  std::chrono::milliseconds backoff_{0};
};

}  // namespace vgpu::daemon
