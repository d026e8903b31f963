// Extents of a range of bytes: which are free, best fit first, neighbours merged. Knows no memory, only
// numbers. Not thread-safe: its owner locks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

namespace vgpu::cpu {

class ExtentAllocator {
 public:
  explicit ExtentAllocator(uint64_t sizeBytes);

  // The offset of `sizeBytes` free bytes, a multiple of `alignment` (a power of two).
  std::optional<uint64_t> allocate(uint64_t sizeBytes, uint64_t alignment);
  void release(uint64_t offset, uint64_t sizeBytes);
  uint64_t freeBytes() const { return freeBytes_; }

 private:
  void add(uint64_t offset, uint64_t sizeBytes);
  void remove(uint64_t offset, uint64_t sizeBytes);

  std::map<uint64_t, uint64_t> byOffset_;
  std::set<std::pair<uint64_t, uint64_t>> bySize_;
  uint64_t freeBytes_ = 0;
};

}  // namespace vgpu::cpu
