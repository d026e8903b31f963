#include "transport/ring/guest_window.h"

#include "base/check.h"
#include "transport/ring/shared_word.h"

namespace vgpu::transport {

GuestWindow::GuestWindow(const SlotControl* control, const ChannelLimits& limits)
    : control_(control), used_(limits.slots) {
  free_.reserve(limits.slots);
  uploads_.reserve(limits.slots);
  for (uint32_t slot = limits.slots; slot-- > 0;) free_.push_back(static_cast<uint16_t>(slot));
}

void GuestWindow::reclaim() {
  for (size_t i = 0; i < uploads_.size();) {
    if (loadAcquire(&control_[uploads_[i].slot].sequence) == uploads_[i].sequence) {
      free_.push_back(uploads_[i].slot);
      uploads_[i] = uploads_.back();
      uploads_.pop_back();
    } else {
      ++i;
    }
  }
}

uint16_t GuestWindow::tryTake(size_t mostUploads) {
  const std::lock_guard lock(mutex_);
  reclaim();
  if (free_.empty() || uploads_.size() >= mostUploads) return kNoSlot;
  const uint16_t slot = free_.back();
  free_.pop_back();
  return slot;
}

bool GuestWindow::mayTake(size_t mostUploads) {
  const std::lock_guard lock(mutex_);
  reclaim();
  return !free_.empty() && uploads_.size() < mostUploads;
}

void GuestWindow::uploaded(uint16_t slot, uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  uploads_.push_back({slot, sequence});
}

bool GuestWindow::give(uint16_t slot) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(slot < used_.size());
    free_.push_back(slot);
  }
  return waiters_.load(std::memory_order_seq_cst) != 0;
}

bool GuestWindow::firstUse(uint16_t slot) {
  const std::lock_guard lock(mutex_);
  if (used_[slot]) return false;
  used_[slot] = true;
  return true;
}

}  // namespace vgpu::transport
