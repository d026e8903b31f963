// The threads that run streams. A kernel needs one of `slots` (the device's multiprocessors). A slot whose
// kernel only waits for others is lent: a kernel of another stream runs beside it, and the system gives both
// their turns. One thread more than slots exists, so that copies and events go on while kernels fill every
// slot. Threads start with the first work, spin briefly for more (one of them at a time), then sleep: an idle
// pool costs nothing. They never end.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "cpu_driver/kernel/runner.h"
#include "cpu_driver/runtime/stream.h"

namespace vgpu::cpu {

class LaunchJob;

inline constexpr int kLeastPriority = 0;
inline constexpr int kGreatestPriority = -5;

class WorkerPool {
 public:
  explicit WorkerPool(unsigned slots);

  // Runs a stream in state Ready as soon as a thread is free; readyForSlot: as soon as a slot is.
  void ready(std::shared_ptr<Stream> stream);
  void readyForSlot(std::shared_ptr<Stream> stream);
  // Lets free threads join in running a launch's blocks, until it is withdrawn.
  void publish(std::shared_ptr<LaunchJob> job);
  void withdraw(const LaunchJob* job);

  kernel::Runner* acquireSlot();
  void releaseSlot(kernel::Runner* slot);
  // Called by the thread that runs a launch: its slot is lent until the launch goes on.
  void lendSlot();
  void endLoan();
  // Whether a stream that has run for a while should make place for others.
  bool shouldYield(Execution& execution) const;
  bool hasReady() const;
  unsigned slots() const { return slots_; }

 private:
  void startThreads();
  void startThread();
  // Whether a slot is free that is nobody's, or one that is lent.
  bool ownSlotFree() const { return slotsTaken_ < slots_; }
  bool slotFree() const { return slotsTaken_ < slots_ + std::min(slotsLent_, kMostLent); }
  kernel::Runner* takeSlot();
  bool pushThoseAwaitingSlot();
  void work();
  bool runSomething(std::unique_lock<std::mutex>& lock);
  std::shared_ptr<Stream> popReady();
  std::shared_ptr<LaunchJob> joinableJob();
  void push(std::shared_ptr<Stream> stream);
  bool needsWake();
  void idle(std::unique_lock<std::mutex>& lock);

  // CUDA C++ programming guide, "Technical Specifications per Compute Capability": 128 grids are resident at
  // most.
  static constexpr unsigned kMostLent = 127;

  const unsigned slots_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::array<std::deque<std::shared_ptr<Stream>>, kLeastPriority - kGreatestPriority + 1> ready_;
  std::vector<std::shared_ptr<Stream>> awaitingSlot_;
  std::vector<std::shared_ptr<LaunchJob>> jobs_;
  std::vector<std::unique_ptr<kernel::Runner>> runners_;
  std::vector<kernel::Runner*> freeRunners_;
  unsigned slotsTaken_ = 0;
  unsigned slotsLent_ = 0;
  std::atomic<unsigned> readyCount_{0};
  std::atomic<unsigned> sleepers_{0};
  std::atomic<uint64_t> signals_{0};  // something became runnable; written under the lock
  bool spinning_ = false;             // one idle thread looks at signals_ before it sleeps
  bool spinnerCalled_ = false;        // and was given something to do
  bool started_ = false;
};

}  // namespace vgpu::cpu
