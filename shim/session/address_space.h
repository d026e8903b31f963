// The session's addresses, handed out in the guest: device, pinned and managed memory all lie in one reserved
// range, so that a pointer has one value on both sides (docs/ARCHITECTURE.md, decision 11). Any thread. Holds
// only bookkeeping; the range itself is reserved by Session.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

namespace vgpu::shim {

class AddressSpace {
 public:
  // `granularityBytes` is a power of two; `guardBytes` stay free behind each block, so that running past its
  // end faults.
  AddressSpace(uint64_t base, uint64_t sizeBytes, uint64_t granularityBytes, uint64_t guardBytes);

  // A free block of at least `sizeBytes`, aligned to `alignment` (a power of two, or 0 for the granularity).
  // Searches onward from the last block, so that a freed address is not soon another's. nullopt: no room.
  std::optional<uint64_t> allocate(uint64_t sizeBytes, uint64_t alignment = 0);
  // The block at exactly `address`, if it is free.
  bool allocateAt(uint64_t address, uint64_t sizeBytes);
  void free(uint64_t address, uint64_t sizeBytes);

  uint64_t roundUp(uint64_t sizeBytes) const;
  uint64_t granularityBytes() const { return granularityBytes_; }
  bool contains(uint64_t address) const { return address - base_ < sizeBytes_; }
  uint64_t base() const { return base_; }
  uint64_t sizeBytes() const { return sizeBytes_; }

 private:
  using FreeMap = std::map<uint64_t, uint64_t>;  // start -> end
  std::optional<uint64_t> takeFrom(FreeMap::iterator first, FreeMap::iterator last, uint64_t sizeBytes,
                                   uint64_t alignment, uint64_t notBelow);
  void take(FreeMap::iterator block, uint64_t start, uint64_t end);

  const uint64_t base_, sizeBytes_, granularityBytes_, guardBytes_;
  std::mutex mutex_;
  FreeMap free_;
  uint64_t next_;
};

}  // namespace vgpu::shim
