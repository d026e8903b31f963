// GuestWindow: which slots of the data window the guest uses for what. Guest process, any thread.
// The most recently freed slot is taken first, so that the part of the window in use stays in the processor's
// cache. The host's slot control lines are only compared with sequences that we gave out; a lying host delays
// or corrupts our own copy, nothing else.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "transport/ring/layout.h"

namespace vgpu::transport {

// Uploads that overlap: one slot filled, one drained, and two so that neither side waits for the other's
// hiccups.
constexpr size_t kUploadsInFlight = 4;

class GuestWindow {
 public:
  GuestWindow(const SlotControl* control, const ChannelLimits& limits);

  // A free slot, or kNoSlot; also kNoSlot while `mostUploads` or more uploads are in flight.
  uint16_t tryTake(size_t mostUploads = SIZE_MAX);
  // Whether tryTake would find one just now.
  bool mayTake(size_t mostUploads = SIZE_MAX);
  // The slot went with this record and is free once the host has released it.
  void uploaded(uint16_t slot, uint64_t sequence);
  // The caller is done with it. True when somebody may be waiting for a slot.
  bool give(uint16_t slot);
  // The first time that this slot is used.
  bool firstUse(uint16_t slot);

  void addWaiter() { waiters_.fetch_add(1, std::memory_order_seq_cst); }
  void removeWaiter() { waiters_.fetch_sub(1, std::memory_order_seq_cst); }

 private:
  struct InFlight {
    uint16_t slot;
    uint64_t sequence;
  };
  void reclaim();

  const SlotControl* control_;
  std::mutex mutex_;
  std::vector<uint16_t> free_;  // a stack
  std::vector<InFlight> uploads_;
  std::vector<bool> used_;
  std::atomic<int> waiters_{0};
};

}  // namespace vgpu::transport
