// Memory of the device and pinned memory of the host: allocation, release, and what is known of an address.
// Any thread. All of it is host memory that kernels reach at the same address; only its bookkeeping differs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "cpu_driver/runtime/address_map.h"
#include "cpu_driver/runtime/arena.h"
#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

class Context;

class Memory {
 public:
  Memory(std::unique_ptr<Arena> arena, size_t limitBytes)
      : arena_(std::move(arena)), limitBytes_(limitBytes) {}

  // Any kind that lies in the arena. CUDA_ERROR_OUT_OF_MEMORY over the device's limit, INVALID_VALUE for no
  // bytes.
  CUresult allocate(Context& context, size_t sizeBytes, MemoryKind kind, unsigned flags,
                    CUdeviceptr* address);
  CUresult allocate(Context& context, size_t sizeBytes, MemoryKind kind, unsigned flags,
                    std::shared_ptr<Allocation>* allocation);
  // Of the kind given, by its first address; waits for nothing.
  CUresult release(CUdeviceptr address, MemoryKind kind);
  void release(const std::shared_ptr<Allocation>& allocation);

  // The program's own memory, from now on known as pinned.
  CUresult registerHost(Context& context, void* address, size_t sizeBytes, unsigned flags);
  CUresult unregisterHost(void* address);

  // All memory of a context that ends, but for what others may still map.
  void releaseAll(CUcontext context);

  AddressMap& addresses() { return addresses_; }
  Arena& arena() { return *arena_; }
  uint64_t nextBufferId() { return nextBufferId_.fetch_add(1, std::memory_order_relaxed); }

  // The device's budget, also for memory that lies elsewhere (cuMemCreate).
  bool charge(size_t sizeBytes);
  void refund(size_t sizeBytes) { usedBytes_.fetch_sub(sizeBytes, std::memory_order_relaxed); }
  size_t limitBytes() const { return limitBytes_; }
  size_t freeBytes() const;

 private:
  std::unique_ptr<Arena> arena_;
  const size_t limitBytes_;
  std::atomic<size_t> usedBytes_{0};
  std::atomic<uint64_t> nextBufferId_{1};
  AddressMap addresses_;
};

}  // namespace vgpu::cpu
