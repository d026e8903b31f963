// One executor process as the daemon holds it: started with its fixed descriptors, known by pidfd, ended for
// good. The daemon's main thread. What the process writes (statistics, report) is untrusted as soon as it has
// a guest.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "mediator/daemon/vgpu_table.h"
#include "mediator/link/executor_arguments.h"
#include "mediator/link/executor_exit.h"
#include "mediator/link/session_assignment.h"

namespace vgpu::daemon {

struct ExecutorEnd {
  bool bySignal = false;
  int code = 0;  // exit code, or the signal's number

  // The guest's doing or leaving, not a fault of the executor.
  bool expected() const {
    return !bySignal && (code == link::kServed || code == link::kRefused || code == link::kViolation);
  }
  std::string text() const;
};

class ExecutorProcess {
 public:
  // Starts `program`. `cacheDirectory` may be invalid; without a vGPU `lease` is null. The statistics page is
  // kept open for reading, the lease until the process has ended.
  static Result<ExecutorProcess> start(const std::string& program, const link::ExecutorArguments& arguments,
                                       const UniqueFd& cacheDirectory,
                                       std::shared_ptr<const VgpuLease> lease = nullptr);

  ExecutorProcess(ExecutorProcess&&) noexcept = default;
  ExecutorProcess& operator=(ExecutorProcess&&) = delete;
  // Ends and reaps it if that has not happened.
  ~ExecutorProcess();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable when it has ended
  int control() const { return control_.get(); }
  void closeControl() { control_.reset(); }  // an unassigned executor then ends by itself
  UniqueFd takeStatistics() { return std::move(statistics_); }
  MonotonicTime started() const { return started_; }

  Status assign(const link::SessionAssignment& assignment, int guestSocket);
  void signal(int number) const;
  // How it ended, once; nothing while it runs.
  std::optional<ExecutorEnd> reap();

 private:
  ExecutorProcess() = default;

  pid_t pid_ = -1;
  UniqueFd pidfd_, control_, statistics_;
  std::shared_ptr<const VgpuLease> lease_;
  MonotonicTime started_ = now();
};

}  // namespace vgpu::daemon
