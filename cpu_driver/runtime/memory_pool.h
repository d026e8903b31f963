// Memory pools: allocation and release in the order of a stream. Memory is taken at the call and given back
// when the stream gets there; nothing is kept for later, so a pool's reserve is what is in use. Any thread.
// The pools belong to the driver; a default pool always exists.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "cpu_driver/runtime/handle_table.h"
#include "cpu_driver/runtime/memory.h"

namespace vgpu::cpu {

class Stream;

struct MemoryPool {
  CUmemoryPool handle = nullptr;
  CUmemPoolProps properties{};
  std::atomic<uint64_t> usedBytes{0}, mostUsedBytes{0};
  std::atomic<uint64_t> releaseThresholdBytes{0};
  std::atomic<int> reuseFollowEventDependencies{1}, reuseAllowOpportunistic{1},
      reuseAllowInternalDependencies{1};
};

class MemoryPools {
 public:
  explicit MemoryPools(Memory& memory);

  CUmemoryPool defaultPool() const { return default_; }
  CUmemoryPool current() const { return current_.load(); }
  CUresult setCurrent(CUmemoryPool pool);
  CUresult create(CUmemoryPool* pool, const CUmemPoolProps& properties);
  CUresult destroy(CUmemoryPool pool);
  bool known(CUmemoryPool pool) const { return pools_.find(pool) != nullptr; }

  CUresult allocate(Stream& stream, CUmemoryPool pool, size_t sizeBytes, CUdeviceptr* address);
  // Marks it and gives it back when `stream` gets there.
  CUresult release(Stream& stream, CUdeviceptr address);
  // At once, for cuMemFree.
  void releaseNow(const std::shared_ptr<Allocation>& allocation);

  CUresult attribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value);
  CUresult setAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, const void* value);

 private:
  Memory& memory_;
  HandleTable<MemoryPool, CUmemoryPool, 0x60> pools_;
  CUmemoryPool default_ = nullptr;
  std::atomic<CUmemoryPool> current_{nullptr};
};

}  // namespace vgpu::cpu
