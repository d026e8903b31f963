// A launch that several threads run: each claims blocks until none is left, the last to leave goes on with
// the stream. The thread that drains the stream makes and publishes it; workers join under the pool's lock.
#pragma once

#include <atomic>
#include <memory>

#include "cpu_driver/kernel/runner.h"
#include "cpu_driver/runtime/stream.h"

namespace vgpu::cpu {

class LaunchJob : public std::enable_shared_from_this<LaunchJob> {
 public:
  LaunchJob(std::shared_ptr<Stream> stream, std::shared_ptr<kernel::LoadedImage> image)
      : stream_(std::move(stream)), image_(std::move(image)) {}

  kernel::LaunchContext& launch() { return launch_; }
  size_t wantedHelpers() const { return static_cast<size_t>(launch_.blockCount - 1); }
  // One thread more, while the job is published and blocks are left. False once the last thread has left,
  // which it may do at any time: the pool's lock does not hold it.
  bool join();
  // True for the last thread that leaves.
  bool leave() { return participants_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  // Claims and runs blocks; true for the last thread that leaves.
  bool runBlocks(kernel::Runner& runner);
  void runAsHelper(Execution& execution);

  kernel::RunStatus status() const { return status_.load(std::memory_order_acquire); }
  int64_t startedNanoseconds = 0;

 private:
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<kernel::LoadedImage> image_;
  kernel::LaunchContext launch_;
  std::atomic<unsigned> participants_{1};
  std::atomic<kernel::RunStatus> status_{kernel::RunStatus::Done};
};

}  // namespace vgpu::cpu
