#include "transport/ring/event_queue.h"

#include "base/check.h"
#include "transport/ring/host_channel.h"
#include "transport/ring/record_writer.h"

namespace vgpu::transport {

EventQueue::EventQueue(const ChannelMemory& memory, const ChannelLimits& limits)
    : control_(memory.control),
      producer_(memory.events, limits.eventLines, &memory.control->eventsProduced,
                &memory.control->eventsConsumed) {}

bool EventQueue::write(uint16_t kind, uint64_t sequence, std::span<const std::byte> bytes) {
  const RecordShape shape{.call = kind, .argumentBytes = bytes.size()};
  std::byte* place = producer_.place(shape.lines(), sequence);
  if (!place) return false;
  copyBytes(writeHeader(place, shape, sequence), bytes);
  producer_.publish(shape.lines());
  return true;
}

EventQueue::Posted EventQueue::post(uint16_t kind, std::span<const std::byte> bytes, uint64_t& sequence) {
  CHECK(bytes.size() <= kMaxEventBytes && kind != kPadCall);
  const std::lock_guard lock(mutex_);
  if (waitingBytes_ > kMostQueuedEventBytes) return Posted::TooMany;
  sequence = ++sequence_;
  storeRelease(&control_->eventsAnnounced, sequence);
  if (waiting_.empty() && write(kind, sequence, bytes)) return Posted::Written;
  waiting_.push_back({kind, sequence, {bytes.begin(), bytes.end()}});
  waitingBytes_ += bytes.size() + sizeof(Waiting);
  return Posted::Queued;
}

bool EventQueue::pump() {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty()) {
    const Waiting& first = waiting_.front();
    if (!write(first.kind, first.sequence, first.bytes)) return true;
    waitingBytes_ -= first.bytes.size() + sizeof(Waiting);
    waiting_.pop_front();
  }
  return false;
}

}  // namespace vgpu::transport
