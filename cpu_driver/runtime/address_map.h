// What lies at an address: every range that the driver handed out or was told about, and whose it is.
// Any thread; readers do not exclude each other. The map shares its entries with whoever asked, so that an
// answer stays whole when the range is freed meanwhile. Addresses asked for come from the program and may be
// anything.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "cpu_driver/runtime/arena.h"
#include "protocol/abi/cuda.h"
#include "protocol/abi/managed_advice.h"

namespace vgpu::cpu {

struct PhysicalMemory;

enum class MemoryKind {
  Device,      // cuMemAlloc
  Global,      // a module's variables
  Pool,        // cuMemAllocAsync
  Virtual,     // cuMemMap
  Host,        // cuMemAllocHost, cuMemHostAlloc
  Registered,  // cuMemHostRegister: the program's own memory
  Managed,     // cuMemAllocManaged, and managed variables
};

struct Allocation {
  uintptr_t base = 0;
  size_t sizeBytes = 0;  // as asked for
  MemoryKind kind = MemoryKind::Device;
  uint64_t bufferId = 0;
  CUcontext context = nullptr;
  unsigned flags = 0;            // of cuMemHostAlloc, cuMemHostRegister or cuMemAllocManaged
  CUmemoryPool pool = nullptr;   // Pool
  std::optional<Extent> extent;  // what to give back to the arena
  bool countsAgainstDevice = false;
  std::shared_ptr<PhysicalMemory> physical;  // Virtual
  std::atomic<int> protection{0};            // Virtual: PROT_*
  std::atomic<bool> synchronousOperations{false};
  std::atomic<bool> freeing{false};  // Pool: cuMemFreeAsync was called
  protocol::ManagedAdvice advice;

  bool onDevice() const { return kind <= MemoryKind::Virtual; }
  bool onHost() const { return kind == MemoryKind::Host || kind == MemoryKind::Registered; }
  bool contains(uintptr_t address) const { return address - base < sizeBytes; }
};

class AddressMap {
 public:
  // False where any of the range is taken.
  bool insert(std::shared_ptr<Allocation> allocation);
  std::shared_ptr<Allocation> find(uintptr_t address) const;
  std::shared_ptr<Allocation> remove(uintptr_t base);
  // False where another allocation lies there by now.
  bool remove(const Allocation& allocation);
  // Whether all of the range is known, over as many neighbouring allocations as it takes.
  bool covers(uintptr_t address, size_t sizeBytes) const;
  // The first allocation that overlaps the range.
  std::shared_ptr<Allocation> firstIn(uintptr_t address, size_t sizeBytes) const;
  // All for which `wanted` is true.
  template <class Predicate>
  std::vector<std::shared_ptr<Allocation>> all(Predicate wanted) const {
    std::shared_lock lock(mutex_);
    std::vector<std::shared_ptr<Allocation>> found;
    for (const auto& [base, allocation] : ranges_)
      if (wanted(*allocation)) found.push_back(allocation);
    return found;
  }

 private:
  const std::shared_ptr<Allocation>* at(uintptr_t address) const;

  mutable std::shared_mutex mutex_;
  std::map<uintptr_t, std::shared_ptr<Allocation>> ranges_;
};

}  // namespace vgpu::cpu
