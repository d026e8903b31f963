// Work: one item of a stream's queue. It is built in the queue by the thread that calls CUDA and run by
// whichever thread drains the stream, one at a time. It owns copies of whatever the caller may reuse after
// the call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "protocol/abi/cuda.h"

namespace vgpu::kernel {
class Runner;
}

namespace vgpu::cpu {

class Stream;
class WorkerPool;

// A thread that drains a stream. Kernels need one of the pool's slots; a drain keeps it from its first kernel
// on.
class Execution {
 public:
  explicit Execution(WorkerPool& pool, kernel::Runner* slot = nullptr) : pool_(pool), slot_(slot) {}
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  WorkerPool& pool() { return pool_; }
  // Null where all slots are taken.
  kernel::Runner* slot();
  void releaseSlot();
  MonotonicTime started() const { return started_; }
  // A thread of the pool, which may wait a moment for more work of a stream before it gives the stream up.
  bool patient() const { return patient_; }
  void setPatient() { patient_ = true; }

 private:
  WorkerPool& pool_;
  kernel::Runner* slot_;
  MonotonicTime started_ = now();
  bool patient_ = false;
};

enum class Step {
  Done,
  // The stream was handed on: whoever ends what it waits for resumes it, and run() is called again. Neither
  // the work nor the stream may be touched after that.
  Blocked,
};

class Work {
 public:
  virtual ~Work() = default;
  virtual Step run(Execution& execution, Stream& stream) = 0;
  // Instead of run(), once the context has failed.
  virtual Step abandon(Execution&, Stream&) { return Step::Done; }
  virtual bool needsSlot() const { return false; }
};

// What a queue's slot holds at most; larger work keeps its data elsewhere.
inline constexpr size_t kWorkBytes = 448;

}  // namespace vgpu::cpu
