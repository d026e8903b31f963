#include "shim/session/memory_pool.h"

#include <algorithm>

namespace vgpu::shim {

void MemoryPools::addDevice(int device) {
  auto* pool = new MemoryPool{.device = device, .isDefault = true};
  pools_.push_back(pool);
  defaults_.push_back(pool);
  currents_.push_back(pool);
}

MemoryPool* MemoryPools::defaultPool(int device) { return defaults_[static_cast<size_t>(device)]; }

MemoryPool* MemoryPools::currentPool(int device) {
  std::lock_guard lock(mutex_);
  return currents_[static_cast<size_t>(device)];
}

CUresult MemoryPools::setCurrent(int device, MemoryPool* pool) {
  if (!known(pool) || pool->device != device) return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard lock(mutex_);
  currents_[static_cast<size_t>(device)] = pool;
  return CUDA_SUCCESS;
}

MemoryPool* MemoryPools::create(int device, uint64_t maxBytes) {
  auto* pool = new MemoryPool{.device = device, .maxBytes = maxBytes};
  std::lock_guard lock(mutex_);
  pools_.push_back(pool);
  return pool;
}

CUresult MemoryPools::destroy(MemoryPool* pool, std::vector<PoolBlock>& released) {
  std::lock_guard lock(mutex_);
  auto place = std::find(pools_.begin(), pools_.end(), pool);
  if (place == pools_.end() || pool->isDefault) return CUDA_ERROR_INVALID_VALUE;
  std::replace(currents_.begin(), currents_.end(), pool, defaults_[static_cast<size_t>(pool->device)]);
  released = std::move(pool->free);
  pools_.erase(place);  // the object stays: allocations made from it may still be freed
  return CUDA_SUCCESS;
}

bool MemoryPools::known(const MemoryPool* pool) {
  std::lock_guard lock(mutex_);
  return std::find(pools_.begin(), pools_.end(), pool) != pools_.end();
}

void MemoryPools::allocated(MemoryPool& pool, uint64_t sizeBytes, bool fresh) {
  std::lock_guard lock(mutex_);
  pool.usedBytes += sizeBytes;
  pool.usedHighBytes = std::max(pool.usedHighBytes, pool.usedBytes);
  if (!fresh) return;
  pool.reservedBytes += sizeBytes;
  pool.reservedHighBytes = std::max(pool.reservedHighBytes, pool.reservedBytes);
}

void MemoryPools::freed(MemoryPool& pool, const PoolBlock& block) {
  std::lock_guard lock(mutex_);
  pool.usedBytes -= block.sizeBytes;
  pool.free.push_back(block);
}

CUresult MemoryPools::getAttribute(MemoryPool& pool, CUmemPool_attribute attribute, void* value) {
  std::lock_guard lock(mutex_);
  auto* number = static_cast<uint64_t*>(value);
  auto* flag = static_cast<int*>(value);
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
      *flag = pool.reuseFollowEvents;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
      *flag = pool.reuseOpportunistic;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      *flag = pool.reuseInternal;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      *number = pool.releaseThreshold;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
      *number = pool.reservedBytes;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      *number = pool.reservedHighBytes;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      *number = pool.usedBytes;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      *number = pool.usedHighBytes;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult MemoryPools::setAttribute(MemoryPool& pool, CUmemPool_attribute attribute, const void* value) {
  std::lock_guard lock(mutex_);
  const uint64_t number =
      attribute >= CU_MEMPOOL_ATTR_RELEASE_THRESHOLD ? *static_cast<const uint64_t*>(value) : 0;
  const int flag = attribute < CU_MEMPOOL_ATTR_RELEASE_THRESHOLD ? *static_cast<const int*>(value) : 0;
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
      pool.reuseFollowEvents = flag;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
      pool.reuseOpportunistic = flag;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      pool.reuseInternal = flag;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      pool.releaseThreshold = number;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:  // the high marks can only be reset to zero (cuda.h)
      if (number != 0) return CUDA_ERROR_INVALID_VALUE;
      (attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH ? pool.usedHighBytes : pool.reservedHighBytes) = 0;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace vgpu::shim
