#include "cpu_driver/runtime/extent_allocator.h"

namespace vgpu::cpu {

ExtentAllocator::ExtentAllocator(uint64_t sizeBytes) { add(0, sizeBytes); }

void ExtentAllocator::add(uint64_t offset, uint64_t sizeBytes) {
  if (sizeBytes == 0) return;
  byOffset_.emplace(offset, sizeBytes);
  bySize_.emplace(sizeBytes, offset);
  freeBytes_ += sizeBytes;
}

void ExtentAllocator::remove(uint64_t offset, uint64_t sizeBytes) {
  byOffset_.erase(offset);
  bySize_.erase({sizeBytes, offset});
  freeBytes_ -= sizeBytes;
}

std::optional<uint64_t> ExtentAllocator::allocate(uint64_t sizeBytes, uint64_t alignment) {
  for (auto fit = bySize_.lower_bound({sizeBytes, 0}); fit != bySize_.end(); ++fit) {
    const auto [extentBytes, begin] = *fit;
    const uint64_t offset = (begin + alignment - 1) & ~(alignment - 1);
    const uint64_t lead = offset - begin;
    if (lead > extentBytes || extentBytes - lead < sizeBytes) continue;
    remove(begin, extentBytes);
    add(begin, lead);
    add(offset + sizeBytes, extentBytes - lead - sizeBytes);
    return offset;
  }
  return std::nullopt;
}

void ExtentAllocator::release(uint64_t offset, uint64_t sizeBytes) {
  auto next = byOffset_.lower_bound(offset);
  if (next != byOffset_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == offset) {
      offset = previous->first;
      sizeBytes += previous->second;
      remove(previous->first, previous->second);
    }
  }
  next = byOffset_.lower_bound(offset);
  if (next != byOffset_.end() && next->first == offset + sizeBytes) {
    sizeBytes += next->second;
    remove(next->first, next->second);
  }
  add(offset, sizeBytes);
}

}  // namespace vgpu::cpu
