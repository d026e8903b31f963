// malloc and free of device code: a heap of one context, as large as CU_LIMIT_MALLOC_HEAP_SIZE said when it
// was first used. Called by worker threads on a kernel's small stack. The addresses to free come from the
// kernel.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "cpu_driver/runtime/extent_allocator.h"

namespace vgpu::cpu {

class Context;

class DeviceHeap {
 public:
  // Null when the heap is full, as device malloc answers.
  void* allocate(Context& context, uint64_t sizeBytes);
  // False for an address that is not the begin of an allocation.
  bool release(void* address);
  bool used() const { return base_ != 0; }

 private:
  bool create(Context& context);

  std::mutex mutex_;
  uintptr_t base_ = 0;
  std::optional<ExtentAllocator> extents_;
  std::unordered_map<uintptr_t, uint64_t> live_;
};

}  // namespace vgpu::cpu
