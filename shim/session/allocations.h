// What the program's pointers are: one entry an allocation, found by any address inside it. Any thread.
// Every copy, fill and attribute query asks here first, so lookups share a lock and are short.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "protocol/abi/managed_advice.h"

namespace vgpu::shim {

struct Context;
struct MemoryPool;
struct Coherence;

enum class MemoryKind : uint8_t { Device, Pinned, Managed, Registered, Global, VirtualRange };

struct Allocation {
  uint64_t address = 0;    // where the device sees it; for Registered: its shadow
  uint64_t sizeBytes = 0;  // as the program asked
  MemoryKind kind = MemoryKind::Device;
  uint32_t flags = 0;  // of cuMemHostAlloc, cuMemHostRegister, cuMemAllocManaged
  int device = 0;
  Context* context = nullptr;
  uint64_t id = 0;                                 // CU_POINTER_ATTRIBUTE_BUFFER_ID: unique in the process
  uint64_t host = 0;                               // where the program sees it; 0: not at all
  bool shared = false;                             // host and device side are the same memory
  MemoryPool* pool = nullptr;                      // of cuMemAllocAsync: where it came from
  std::shared_ptr<Coherence> coherence = nullptr;  // where the carrier shares no memory
  std::shared_ptr<protocol::ManagedAdvice> advice = nullptr;  // Managed: made by insert()

  bool hostVisible() const { return host != 0; }
};

class Allocations {
 public:
  void insert(const Allocation& allocation);
  // Removes the allocation that begins at `address`.
  std::optional<Allocation> remove(uint64_t address);
  // The allocation that holds the device address, or the host address of registered memory.
  std::optional<Allocation> find(uint64_t address) const;
  // True when all of [address, address + sizeBytes) lies in one allocation.
  bool covers(uint64_t address, uint64_t sizeBytes) const;
  // True when something is allocated in [address, address + sizeBytes) of the device's addresses.
  bool overlaps(uint64_t address, uint64_t sizeBytes) const;

  template <class Visit>
  void forEach(Visit&& visit) const {
    std::shared_lock lock(mutex_);
    for (const auto& [address, allocation] : byAddress_) visit(allocation);
  }

 private:
  const Allocation* locate(uint64_t address) const;

  mutable std::shared_mutex mutex_;
  std::map<uint64_t, Allocation> byAddress_;
  std::map<uint64_t, uint64_t> registeredHost_;  // host address -> device address
  uint64_t nextId_ = 1;
};

}  // namespace vgpu::shim
