// An event: a point in a stream's order, and the time when it was reached. Any thread.
// Recording makes a new Recording, so that who waits for an earlier one is not held by a later one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "cpu_driver/runtime/capture.h"
#include "cpu_driver/runtime/stream.h"

namespace vgpu::cpu {

struct Recording {
  std::shared_ptr<Stream> stream;
  uint64_t sequence = 0;
  std::atomic<int64_t> nanoseconds{0};  // of the monotonic clock, when it was reached
};

class Event {
 public:
  Event(Context& context, unsigned flags) : context_(context), flags_(flags) {}

  Context& context() const { return context_; }
  bool timed() const { return !(flags_ & CU_EVENT_DISABLE_TIMING); }
  void record(Stream& stream);
  // Null before the first record.
  std::shared_ptr<Recording> last() const;
  std::shared_ptr<CapturedRecord> captured() const;
  void setCaptured(std::shared_ptr<CapturedRecord> record);

 private:
  Context& context_;
  const unsigned flags_;
  mutable std::mutex mutex_;
  std::shared_ptr<Recording> last_;
  std::shared_ptr<CapturedRecord> captured_;
};

class RecordWork final : public Work {
 public:
  RecordWork(std::shared_ptr<Recording> recording, bool timed)
      : recording_(std::move(recording)), timed_(timed) {}
  Step run(Execution& execution, Stream& stream) override;

 private:
  std::shared_ptr<Recording> recording_;
  bool timed_;
};

}  // namespace vgpu::cpu
