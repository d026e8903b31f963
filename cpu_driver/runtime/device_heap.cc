#include "cpu_driver/runtime/device_heap.h"

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/driver.h"

namespace vgpu::cpu {

// Programming guide, "Dynamic Global Memory Allocation": at least 16-byte aligned.
constexpr uint64_t kAlignment = 16;

bool DeviceHeap::create(Context& context) {
  size_t sizeBytes = 0;
  context.limit(CU_LIMIT_MALLOC_HEAP_SIZE, &sizeBytes);
  CUdeviceptr base = 0;
  if (driver().memory().allocate(context, sizeBytes, MemoryKind::Global, 0, &base) != CUDA_SUCCESS)
    return false;
  base_ = base;
  extents_.emplace(sizeBytes);
  return true;
}

void* DeviceHeap::allocate(Context& context, uint64_t sizeBytes) {
  if (sizeBytes == 0 || sizeBytes > UINT64_MAX / 2) return nullptr;
  sizeBytes = (sizeBytes + kAlignment - 1) & ~(kAlignment - 1);
  std::lock_guard lock(mutex_);
  if (!base_ && !create(context)) return nullptr;
  const auto offset = extents_->allocate(sizeBytes, kAlignment);
  if (!offset) return nullptr;
  const uintptr_t address = base_ + *offset;
  live_.emplace(address, sizeBytes);
  return reinterpret_cast<void*>(address);
}

bool DeviceHeap::release(void* pointer) {
  if (!pointer) return true;
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  std::lock_guard lock(mutex_);
  const auto found = live_.find(address);
  if (found == live_.end()) return false;
  extents_->release(address - base_, found->second);
  live_.erase(found);
  return true;
}

}  // namespace vgpu::cpu
