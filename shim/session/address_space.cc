#include "shim/session/address_space.h"

#include <algorithm>

namespace vgpu::shim {

AddressSpace::AddressSpace(uint64_t base, uint64_t sizeBytes, uint64_t granularityBytes, uint64_t guardBytes)
    : base_(base),
      sizeBytes_(sizeBytes),
      granularityBytes_(granularityBytes),
      guardBytes_(guardBytes),
      next_(base) {
  free_[base] = base + sizeBytes;
}

uint64_t AddressSpace::roundUp(uint64_t sizeBytes) const {
  return (sizeBytes + granularityBytes_ - 1) & ~(granularityBytes_ - 1);
}

std::optional<uint64_t> AddressSpace::allocate(uint64_t sizeBytes, uint64_t alignment) {
  if (sizeBytes == 0 || sizeBytes > sizeBytes_) return std::nullopt;
  const uint64_t taken = roundUp(sizeBytes) + guardBytes_;
  const uint64_t aligned = std::max(alignment, granularityBytes_);
  std::lock_guard lock(mutex_);
  auto rover = free_.upper_bound(next_);
  if (rover != free_.begin()) --rover;  // the block that holds next_, or the one before it
  if (auto found = takeFrom(rover, free_.end(), taken, aligned, next_)) return found;
  return takeFrom(free_.begin(), free_.end(), taken, aligned, base_);
}

std::optional<uint64_t> AddressSpace::takeFrom(FreeMap::iterator first, FreeMap::iterator last,
                                               uint64_t sizeBytes, uint64_t alignment, uint64_t notBelow) {
  for (auto block = first; block != last; ++block) {
    const uint64_t start = (std::max(block->first, notBelow) + alignment - 1) & ~(alignment - 1);
    if (start >= block->second || block->second - start < sizeBytes) continue;
    take(block, start, start + sizeBytes);
    next_ = start + sizeBytes;
    return start;
  }
  return std::nullopt;
}

bool AddressSpace::allocateAt(uint64_t address, uint64_t sizeBytes) {
  const uint64_t end = address + roundUp(sizeBytes) + guardBytes_;
  if (address % granularityBytes_ != 0 || !contains(address) || end > base_ + sizeBytes_ || end <= address)
    return false;
  std::lock_guard lock(mutex_);
  auto block = free_.upper_bound(address);
  if (block == free_.begin()) return false;
  --block;
  if (block->second < end) return false;
  take(block, address, end);
  return true;
}

void AddressSpace::take(FreeMap::iterator block, uint64_t start, uint64_t end) {
  const uint64_t blockEnd = block->second;
  if (block->first == start) {
    free_.erase(block);
  } else {
    block->second = start;
  }
  if (end < blockEnd) free_[end] = blockEnd;
}

void AddressSpace::free(uint64_t address, uint64_t sizeBytes) {
  uint64_t start = address;
  uint64_t end = address + roundUp(sizeBytes) + guardBytes_;
  std::lock_guard lock(mutex_);
  auto after = free_.lower_bound(start);
  if (after != free_.end() && after->first == end) {
    end = after->second;
    after = free_.erase(after);
  }
  if (after != free_.begin()) {
    auto before = std::prev(after);
    if (before->second == start) {
      before->second = end;
      return;
    }
  }
  free_[start] = end;
}

}  // namespace vgpu::shim
