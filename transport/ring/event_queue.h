// EventQueue: the host's end of the event ring. Executor, any thread. Never blocks: what does not fit is kept
// here, in order, and moved by pump(), which the carrier's watching thread calls until nothing is left.
#pragma once

#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "transport/ring/layout.h"
#include "transport/ring/line_ring.h"

namespace vgpu::transport {

class EventQueue {
 public:
  EventQueue(const ChannelMemory& memory, const ChannelLimits& limits);

  enum class Posted { Written, Queued, TooMany };
  // `sequence` becomes the event's number.
  Posted post(uint16_t kind, std::span<const std::byte> bytes, uint64_t& sequence);
  // Writes what fits now. Whether something is left.
  bool pump();

 private:
  struct Waiting {
    uint16_t kind;
    uint64_t sequence;
    std::vector<std::byte> bytes;
  };
  bool write(uint16_t kind, uint64_t sequence, std::span<const std::byte> bytes);

  ControlPage* control_;
  std::mutex mutex_;
  LineProducer producer_;
  uint64_t sequence_ = 0;
  std::deque<Waiting> waiting_;
  size_t waitingBytes_ = 0;
};

}  // namespace vgpu::transport
