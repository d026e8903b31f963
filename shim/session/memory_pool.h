// Stream-ordered allocation (cuMemAllocAsync) kept in the guest: a freed block goes to its pool and is reused
// in stream order without a record, so a steady loop of allocations and frees sends nothing. What exceeds the
// release threshold goes back to the executor at the next synchronisation, as CUDA's pools do (CUDA
// programming guide, stream ordered memory allocator). Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "protocol/abi/cuda.h"

namespace vgpu::shim {

struct Stream;

struct PoolBlock {
  uint64_t address = 0;
  uint64_t sizeBytes = 0;  // whole granules
  Stream* stream = nullptr;
  uint64_t freedAt =
      0;  // sequence that must have retired in `stream` before another stream may use the block
};

struct MemoryPool {
  int device = 0;
  bool isDefault = false;
  uint64_t releaseThreshold = 0;
  uint64_t maxBytes = 0;  // 0: no limit of its own
  int reuseFollowEvents = 1, reuseOpportunistic = 1, reuseInternal = 1;
  uint64_t usedBytes = 0, usedHighBytes = 0, reservedBytes = 0, reservedHighBytes = 0;
  std::vector<PoolBlock> free = {};
};

class MemoryPools {
 public:
  void addDevice(int device);
  MemoryPool* defaultPool(int device);
  MemoryPool* currentPool(int device);
  CUresult setCurrent(int device, MemoryPool* pool);
  MemoryPool* create(int device, uint64_t maxBytes);
  CUresult destroy(MemoryPool* pool, std::vector<PoolBlock>& released);
  bool known(const MemoryPool* pool);

  // A free block of exactly `sizeBytes` that `stream` may use now; `retired(block)` tells whether its last
  // stream is done with it.
  template <class Retired>
  std::optional<PoolBlock> reuse(MemoryPool& pool, uint64_t sizeBytes, const Stream* stream,
                                 Retired&& retired) {
    std::lock_guard lock(mutex_);
    for (size_t i = pool.free.size(); i-- > 0;) {
      const PoolBlock block = pool.free[i];
      if (block.sizeBytes != sizeBytes || (block.stream != stream && !retired(block))) continue;
      pool.free.erase(pool.free.begin() + static_cast<ptrdiff_t>(i));
      return block;
    }
    return std::nullopt;
  }
  void allocated(MemoryPool& pool, uint64_t sizeBytes, bool fresh);
  void freed(MemoryPool& pool, const PoolBlock& block);
  // Takes out retired blocks until at most `keepBytes` are reserved.
  template <class Retired>
  std::vector<PoolBlock> trim(MemoryPool& pool, uint64_t keepBytes, Retired&& retired) {
    std::vector<PoolBlock> released;
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < pool.free.size() && pool.reservedBytes > keepBytes;) {
      if (!retired(pool.free[i])) {
        ++i;
        continue;
      }
      pool.reservedBytes -= pool.free[i].sizeBytes;
      released.push_back(pool.free[i]);
      pool.free.erase(pool.free.begin() + static_cast<ptrdiff_t>(i));
    }
    return released;
  }
  template <class Visit>
  void forEach(Visit&& visit) {
    std::vector<MemoryPool*> all;  // the objects stay, also of pools that are destroyed meanwhile
    {
      std::lock_guard lock(mutex_);
      all = pools_;
    }
    for (MemoryPool* pool : all) visit(*pool);
  }
  CUresult getAttribute(MemoryPool& pool, CUmemPool_attribute attribute, void* value);
  CUresult setAttribute(MemoryPool& pool, CUmemPool_attribute attribute, const void* value);

 private:
  std::mutex mutex_;
  std::vector<MemoryPool*> pools_;
  std::vector<MemoryPool*> defaults_, currents_;  // by device
};

}  // namespace vgpu::shim
