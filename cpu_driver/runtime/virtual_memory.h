// The virtual-memory calls: addresses, memory and the mapping of one on the other, each by itself. An
// executor places every allocation with them, so an address wanted is an address given or refused. Any
// thread. Memory that may be exported has a memfd of its own; other memory is an extent of the arena.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/unique_fd.h"
#include "cpu_driver/runtime/arena.h"
#include "cpu_driver/runtime/handle_table.h"
#include "cpu_driver/runtime/memory.h"

namespace vgpu::cpu {

// Memory without an address. Gone when neither a handle nor a mapping refers to it.
struct PhysicalMemory {
  explicit PhysicalMemory(Memory& owner) : memory(owner) {}
  ~PhysicalMemory();

  Memory& memory;
  size_t sizeBytes = 0;
  CUmemAllocationProp properties{};
  UniqueFd fd;                   // valid: exportable
  std::optional<Extent> extent;  // of the arena otherwise
  bool imported = false;         // counted by whoever made it
  CUmemGenericAllocationHandle handle = 0;
  std::mutex mutex;
  unsigned handleReferences = 1;
};

class VirtualMemory {
 public:
  explicit VirtualMemory(Memory& memory) : memory_(memory) {}

  CUresult reserve(CUdeviceptr* address, size_t sizeBytes, size_t alignment, CUdeviceptr wanted,
                   uint64_t flags);
  CUresult unreserve(CUdeviceptr address, size_t sizeBytes);
  CUresult create(CUmemGenericAllocationHandle* handle, size_t sizeBytes,
                  const CUmemAllocationProp& properties);
  CUresult release(CUmemGenericAllocationHandle handle);
  CUresult map(CUdeviceptr address, size_t sizeBytes, size_t offset, CUmemGenericAllocationHandle handle);
  CUresult unmap(CUdeviceptr address, size_t sizeBytes);
  CUresult setAccess(CUdeviceptr address, size_t sizeBytes, const CUmemAccessDesc* descriptions,
                     size_t count);
  CUresult access(uint64_t* flags, const CUmemLocation& location, CUdeviceptr address);
  CUresult exportHandle(void* shareable, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type);
  CUresult importHandle(CUmemGenericAllocationHandle* handle, void* shareable,
                        CUmemAllocationHandleType type);
  CUresult properties(CUmemAllocationProp* properties, CUmemGenericAllocationHandle handle);
  CUresult retain(CUmemGenericAllocationHandle* handle, void* address);

 private:
  bool insideReservation(uintptr_t address, size_t sizeBytes);

  Memory& memory_;
  HandleTable<PhysicalMemory, CUmemGenericAllocationHandle, 0x5a> handles_;
  std::mutex mutex_;
  std::map<uintptr_t, size_t> reservations_;
};

}  // namespace vgpu::cpu
