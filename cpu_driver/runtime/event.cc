#include "cpu_driver/runtime/event.h"

#include "base/clock.h"

namespace vgpu::cpu {

void Event::record(Stream& stream) {
  auto recording = std::make_shared<Recording>();
  recording->stream = stream.shared_from_this();
  recording->sequence = stream.enqueueLight<RecordWork>(recording, timed());
  std::lock_guard lock(mutex_);
  last_ = std::move(recording);
  captured_.reset();
}

std::shared_ptr<Recording> Event::last() const {
  std::lock_guard lock(mutex_);
  return last_;
}

std::shared_ptr<CapturedRecord> Event::captured() const {
  std::lock_guard lock(mutex_);
  return captured_;
}

void Event::setCaptured(std::shared_ptr<CapturedRecord> record) {
  std::lock_guard lock(mutex_);
  captured_ = std::move(record);
}

Step RecordWork::run(Execution&, Stream&) {
  if (timed_) recording_->nanoseconds.store(now().time_since_epoch().count(), std::memory_order_relaxed);
  return Step::Done;
}

}  // namespace vgpu::cpu
