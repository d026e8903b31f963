// AddressMap: what lies where in the session's addresses: device memory, pinned and managed memory, shadows
// of registered memory, globals of modules. Touched by the dispatcher thread only; owns host mappings.
// Addresses and sizes asked about are the guest's and untrusted.
#pragma once

#include <cstdint>
#include <map>

#include "base/mapping.h"
#include "mediator/executor/memory_budget.h"
#include "protocol/abi/cuda.h"

namespace vgpu::executor {

struct ContextObject;

enum class MemoryKind : uint8_t { Device, Mapped, Host, Managed, Shadow, Global };

struct MemoryBlock {
  uint64_t address = 0;
  uint64_t sizeBytes = 0;
  MemoryKind kind = MemoryKind::Device;
  ContextObject* context = nullptr;           // current when it was made
  CUmemGenericAllocationHandle physical = 0;  // of Device
  SharedMemoryShare share;                    // of Device and Mapped
  Mapping host;                               // of Host, Managed and Shadow
  const void* owner = nullptr;                // module or library of a Global
  bool managedGlobal = false;                 // a Global that the driver keeps readable by the host
  uint32_t uses = 1;                          // of a Global: how often it was asked for
};

class AddressMap {
 public:
  // False where any of it is taken.
  bool insert(MemoryBlock block);
  // The block that holds the address; valid until the map changes.
  MemoryBlock* find(uint64_t address) {
    if (last_ && address - last_->address < last_->sizeBytes) [[likely]]
      return last_;
    return search(address);
  }
  MemoryBlock* findStart(uint64_t address);
  // True when all of [address, address + sizeBytes) is live, in one block or in adjoining ones. Zero bytes:
  // always.
  bool covers(uint64_t address, uint64_t sizeBytes) {
    if (last_ && address - last_->address < last_->sizeBytes &&
        sizeBytes <= last_->sizeBytes - (address - last_->address)) [[likely]] {
      return true;
    }
    return coversSlowly(address, sizeBytes);
  }
  bool overlaps(uint64_t address, uint64_t sizeBytes) const;
  void remove(uint64_t address);

  template <class Which>
  MemoryBlock* findIf(Which&& which) {
    for (auto& [address, block] : blocks_) {
      if (which(block)) return &block;
    }
    return nullptr;
  }

 private:
  MemoryBlock* search(uint64_t address);
  bool coversSlowly(uint64_t address, uint64_t sizeBytes);

  std::map<uint64_t, MemoryBlock> blocks_;
  MemoryBlock* last_ = nullptr;  // most look-ups ask for the same block as the one before
};

}  // namespace vgpu::executor
