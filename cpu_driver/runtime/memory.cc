#include "cpu_driver/runtime/memory.h"

#include <algorithm>

#include "cpu_driver/runtime/context.h"

namespace vgpu::cpu {
namespace {

// cuMemAlloc: "suitably aligned for any kind of variable"; pages are.
constexpr size_t kAlignment = kPageBytes;

bool countsAgainstDevice(MemoryKind kind) { return kind != MemoryKind::Host; }

}  // namespace

bool Memory::charge(size_t sizeBytes) {
  const size_t before = usedBytes_.fetch_add(sizeBytes, std::memory_order_relaxed);
  if (before <= limitBytes_ && sizeBytes <= limitBytes_ - before) return true;
  refund(sizeBytes);
  return false;
}

size_t Memory::freeBytes() const {
  const size_t used = usedBytes_.load(std::memory_order_relaxed);
  return used < limitBytes_ ? limitBytes_ - used : 0;
}

CUresult Memory::allocate(Context& context, size_t sizeBytes, MemoryKind kind, unsigned flags,
                          CUdeviceptr* address) {
  std::shared_ptr<Allocation> allocation;
  const CUresult result = allocate(context, sizeBytes, kind, flags, &allocation);
  if (result == CUDA_SUCCESS) *address = allocation->base;
  return result;
}

CUresult Memory::allocate(Context& context, size_t sizeBytes, MemoryKind kind, unsigned flags,
                          std::shared_ptr<Allocation>* made) {
  if (sizeBytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (sizeBytes > SIZE_MAX / 2) return CUDA_ERROR_OUT_OF_MEMORY;
  const size_t mappedBytes = roundUpToPage(sizeBytes);
  const bool counts = countsAgainstDevice(kind);
  if (counts && !charge(mappedBytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  const auto extent = arena_->allocate(mappedBytes, kAlignment);
  if (!extent || !arena_->open(*extent)) {
    if (extent) arena_->releaseUnopened(*extent);
    if (counts) refund(mappedBytes);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  auto allocation = std::make_shared<Allocation>();
  allocation->base = reinterpret_cast<uintptr_t>(arena_->address(*extent));
  allocation->sizeBytes = sizeBytes;
  allocation->kind = kind;
  allocation->bufferId = nextBufferId();
  allocation->context = context.handle();
  allocation->flags = flags;
  allocation->extent = *extent;
  allocation->countsAgainstDevice = counts;
  addresses_.insert(allocation);
  *made = std::move(allocation);
  return CUDA_SUCCESS;
}

void Memory::release(const std::shared_ptr<Allocation>& allocation) {
  if (!addresses_.remove(*allocation)) return;
  if (!allocation->extent) return;
  arena_->release(*allocation->extent);
  if (allocation->countsAgainstDevice) refund(allocation->extent->bytes);
}

CUresult Memory::release(CUdeviceptr address, MemoryKind kind) {
  const auto allocation = addresses_.find(address);
  if (!allocation || allocation->base != address || allocation->kind != kind) return CUDA_ERROR_INVALID_VALUE;
  release(allocation);
  return CUDA_SUCCESS;
}

CUresult Memory::registerHost(Context& context, void* pointer, size_t sizeBytes, unsigned flags) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  if (!pointer || sizeBytes == 0 || address + sizeBytes < address) return CUDA_ERROR_INVALID_VALUE;
  auto allocation = std::make_shared<Allocation>();
  allocation->base = address;
  allocation->sizeBytes = sizeBytes;
  allocation->kind = MemoryKind::Registered;
  allocation->bufferId = nextBufferId();
  allocation->context = context.handle();
  allocation->flags = flags;
  if (!addresses_.insert(std::move(allocation))) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  return CUDA_SUCCESS;
}

CUresult Memory::unregisterHost(void* pointer) {
  const auto allocation = addresses_.find(reinterpret_cast<uintptr_t>(pointer));
  if (!allocation || allocation->kind != MemoryKind::Registered) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  if (allocation->base != reinterpret_cast<uintptr_t>(pointer)) return CUDA_ERROR_INVALID_VALUE;
  addresses_.remove(allocation->base);
  return CUDA_SUCCESS;
}

void Memory::releaseAll(CUcontext context) {
  const auto mine = addresses_.all([&](const Allocation& allocation) {
    return allocation.context == context && allocation.kind != MemoryKind::Virtual &&
           allocation.kind != MemoryKind::Pool;
  });
  for (const auto& allocation : mine) release(allocation);
}

}  // namespace vgpu::cpu
