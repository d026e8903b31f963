// How much device memory the session may take: its own limit, and what its vGPU has left for all its sessions
// together. What was taken is a MemoryShare, kept by whatever holds the memory: it goes back with the last of
// them. Any thread; a budget outlives its shares.
#pragma once

#include <algorithm>
#include <memory>

#include "mediator/link/memory_ledger.h"
#include "mediator/link/session_statistics.h"

namespace vgpu::executor {

class MemoryBudget;

class MemoryShare {
 public:
  MemoryShare(MemoryBudget& budget, uint64_t sizeBytes) : budget_(budget), sizeBytes_(sizeBytes) {}
  ~MemoryShare();
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

 private:
  MemoryBudget& budget_;
  const uint64_t sizeBytes_;
};
using SharedMemoryShare = std::shared_ptr<const MemoryShare>;

class MemoryBudget {
 public:
  // `limitBytes` of this session; 0: none but the vGPU's, if it has one.
  MemoryBudget(link::StatisticsPage& statistics, uint64_t limitBytes, link::LedgerPlace* vgpu)
      : allocated_(statistics.allocatedBytes), limitBytes_(limitBytes), vgpu_(vgpu) {}

  // Null where there is not so much left.
  SharedMemoryShare take(uint64_t sizeBytes) {
    const uint64_t before = allocated_.fetch_add(sizeBytes, std::memory_order_relaxed);
    const bool fits = limitBytes_ == 0 || (before <= limitBytes_ && sizeBytes <= limitBytes_ - before);
    if (fits && (!vgpu_ || vgpu_->take(sizeBytes))) return std::make_shared<MemoryShare>(*this, sizeBytes);
    allocated_.fetch_sub(sizeBytes, std::memory_order_relaxed);
    return nullptr;
  }

  // Lowers what the driver says of the whole device to what this session can have of it.
  void bound(size_t& freeBytes, size_t& totalBytes) const {
    if (limitBytes_ != 0) {
      const uint64_t used = allocated_.load(std::memory_order_relaxed);
      lower(totalBytes, limitBytes_);
      lower(freeBytes, used < limitBytes_ ? limitBytes_ - used : 0);
    }
    if (vgpu_) {
      lower(totalBytes, vgpu_->limitBytes());
      lower(freeBytes, vgpu_->freeBytes());
    }
  }

 private:
  friend class MemoryShare;
  void giveBack(uint64_t sizeBytes) {
    allocated_.fetch_sub(sizeBytes, std::memory_order_relaxed);
    if (vgpu_) vgpu_->giveBack(sizeBytes);
  }
  static void lower(size_t& bytes, uint64_t to) { bytes = std::min<uint64_t>(bytes, to); }

  link::Counter& allocated_;
  const uint64_t limitBytes_;
  link::LedgerPlace* const vgpu_;
};

inline MemoryShare::~MemoryShare() { budget_.giveBack(sizeBytes_); }

}  // namespace vgpu::executor
