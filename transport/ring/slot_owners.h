// SlotOwners: which record each window slot belongs to, from the arrival of the record until the host is done
// with it. Executor, any thread. A guest that names a slot which it has not got back yet broke the protocol;
// without this it could have two streams write one buffer.
#pragma once

#include <atomic>
#include <memory>

#include "base/check.h"

namespace vgpu::transport {

class SlotOwners {
 public:
  explicit SlotOwners(uint32_t slots) : slots_(slots), owners_(new std::atomic<uint64_t>[slots]()) {}

  // Dispatcher. False when the slot is in use.
  bool claim(uint16_t slot, uint64_t sequence) {
    uint64_t none = 0;
    return owners_[slot].compare_exchange_strong(none, sequence, std::memory_order_acq_rel);
  }
  // The sequence that owned it. Releasing what is not owned is our own mistake.
  uint64_t release(uint16_t slot) {
    CHECK(slot < slots_);
    const uint64_t sequence = owners_[slot].exchange(0, std::memory_order_acq_rel);
    CHECK(sequence != 0);
    return sequence;
  }

 private:
  uint32_t slots_;
  std::unique_ptr<std::atomic<uint64_t>[]> owners_;
};

}  // namespace vgpu::transport
