#include "cpu_driver/runtime/memory_pool.h"

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/driver.h"

namespace vgpu::cpu {
namespace {

class FreeWork final : public Work {
 public:
  explicit FreeWork(std::shared_ptr<Allocation> allocation) : allocation_(std::move(allocation)) {}
  Step run(Execution&, Stream&) override {
    driver().pools().releaseNow(allocation_);
    return Step::Done;
  }
  Step abandon(Execution& execution, Stream& stream) override { return run(execution, stream); }

 private:
  std::shared_ptr<Allocation> allocation_;
};

}  // namespace

MemoryPools::MemoryPools(Memory& memory) : memory_(memory) {
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  create(&default_, properties);
  current_.store(default_);
}

CUresult MemoryPools::create(CUmemoryPool* pool, const CUmemPoolProps& properties) {
  if (properties.allocType != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  if (properties.location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
  if (properties.location.id != 0) return CUDA_ERROR_INVALID_DEVICE;
  // Memory of a pool lies in the arena, which is not handed out.
  if (properties.handleTypes != CU_MEM_HANDLE_TYPE_NONE) return CUDA_ERROR_NOT_SUPPORTED;
  auto made = std::make_shared<MemoryPool>();
  made->properties = properties;
  MemoryPool& reference = *made;
  *pool = pools_.insert(std::move(made));
  reference.handle = *pool;
  return *pool ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult MemoryPools::destroy(CUmemoryPool pool) {
  if (pool == default_) return CUDA_ERROR_INVALID_VALUE;
  if (!pools_.remove(pool)) return CUDA_ERROR_INVALID_VALUE;
  CUmemoryPool expected = pool;
  current_.compare_exchange_strong(expected, default_);
  return CUDA_SUCCESS;
}

CUresult MemoryPools::setCurrent(CUmemoryPool pool) {
  if (!known(pool)) return CUDA_ERROR_INVALID_VALUE;
  current_.store(pool);
  return CUDA_SUCCESS;
}

CUresult MemoryPools::allocate(Stream& stream, CUmemoryPool handle, size_t sizeBytes, CUdeviceptr* address) {
  const auto pool = pools_.share(handle);
  if (!pool || sizeBytes == 0) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t most = pool->properties.maxSize;
  if (most != 0 && pool->usedBytes.load() + sizeBytes > most) return CUDA_ERROR_OUT_OF_MEMORY;
  std::shared_ptr<Allocation> allocation;
  CUresult result = memory_.allocate(stream.context(), sizeBytes, MemoryKind::Pool, 0, &allocation);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    // Releases that are still queued may make place.
    stream.context().synchronize();
    result = memory_.allocate(stream.context(), sizeBytes, MemoryKind::Pool, 0, &allocation);
  }
  if (result != CUDA_SUCCESS) return result;
  allocation->pool = handle;
  const uint64_t used = pool->usedBytes.fetch_add(sizeBytes) + sizeBytes;
  uint64_t before = pool->mostUsedBytes.load();
  while (before < used && !pool->mostUsedBytes.compare_exchange_weak(before, used)) {
  }
  *address = allocation->base;
  return CUDA_SUCCESS;
}

CUresult MemoryPools::release(Stream& stream, CUdeviceptr address) {
  auto allocation = memory_.addresses().find(address);
  if (!allocation || allocation->base != address) return CUDA_ERROR_INVALID_VALUE;
  // cuMemFreeAsync also takes memory of cuMemAlloc, and frees it in the stream's order.
  if (allocation->kind != MemoryKind::Pool && allocation->kind != MemoryKind::Device)
    return CUDA_ERROR_INVALID_VALUE;
  if (allocation->freeing.exchange(true)) return CUDA_ERROR_INVALID_VALUE;
  stream.enqueueLight<FreeWork>(std::move(allocation));
  return CUDA_SUCCESS;
}

void MemoryPools::releaseNow(const std::shared_ptr<Allocation>& allocation) {
  if (const auto pool = pools_.share(allocation->pool)) pool->usedBytes.fetch_sub(allocation->sizeBytes);
  memory_.release(allocation);
}

CUresult MemoryPools::attribute(CUmemoryPool handle, CUmemPool_attribute attribute, void* value) {
  const auto pool = pools_.share(handle);
  if (!pool || !value) return CUDA_ERROR_INVALID_VALUE;
  const auto number = [&](int n) { *static_cast<int*>(value) = n; };
  const auto bytes = [&](uint64_t n) { *static_cast<cuuint64_t*>(value) = n; };
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
      number(pool->reuseFollowEventDependencies);
      break;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
      number(pool->reuseAllowOpportunistic);
      break;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      number(pool->reuseAllowInternalDependencies);
      break;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      bytes(pool->releaseThresholdBytes);
      break;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      bytes(pool->usedBytes);
      break;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      bytes(pool->mostUsedBytes);
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult MemoryPools::setAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, const void* value) {
  const auto pool = pools_.share(handle);
  if (!pool || !value) return CUDA_ERROR_INVALID_VALUE;
  const auto number = [&] { return *static_cast<const int*>(value); };
  const auto bytes = [&] { return *static_cast<const cuuint64_t*>(value); };
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
      pool->reuseFollowEventDependencies = number();
      break;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
      pool->reuseAllowOpportunistic = number();
      break;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      pool->reuseAllowInternalDependencies = number();
      break;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      pool->releaseThresholdBytes = bytes();
      break;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      // The only value to set is 0: start again from what is used.
      if (bytes() != 0) return CUDA_ERROR_INVALID_VALUE;
      pool->mostUsedBytes = pool->usedBytes.load();
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

}  // namespace vgpu::cpu
