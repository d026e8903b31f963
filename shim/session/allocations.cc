#include "shim/session/allocations.h"

namespace vgpu::shim {

void Allocations::insert(const Allocation& allocation) {
  std::unique_lock lock(mutex_);
  Allocation& entry = byAddress_[allocation.address] = allocation;
  entry.id = nextId_++;
  if (entry.kind == MemoryKind::Managed) entry.advice = std::make_shared<protocol::ManagedAdvice>();
  if (entry.kind == MemoryKind::Registered) registeredHost_[entry.host] = entry.address;
}

std::optional<Allocation> Allocations::remove(uint64_t address) {
  std::unique_lock lock(mutex_);
  auto entry = byAddress_.find(address);
  if (entry == byAddress_.end()) return std::nullopt;
  Allocation removed = std::move(entry->second);
  byAddress_.erase(entry);
  if (removed.kind == MemoryKind::Registered) registeredHost_.erase(removed.host);
  return removed;
}

const Allocation* Allocations::locate(uint64_t address) const {
  if (auto after = byAddress_.upper_bound(address); after != byAddress_.begin()) {
    const Allocation& entry = std::prev(after)->second;
    if (address - entry.address < entry.sizeBytes) return &entry;
  }
  auto after = registeredHost_.upper_bound(address);
  if (after == registeredHost_.begin()) return nullptr;
  const Allocation& entry = byAddress_.at(std::prev(after)->second);
  return address - entry.host < entry.sizeBytes ? &entry : nullptr;
}

std::optional<Allocation> Allocations::find(uint64_t address) const {
  std::shared_lock lock(mutex_);
  const Allocation* entry = locate(address);
  return entry ? std::optional(*entry) : std::nullopt;
}

bool Allocations::overlaps(uint64_t address, uint64_t sizeBytes) const {
  std::shared_lock lock(mutex_);
  const auto beyond = byAddress_.lower_bound(address + sizeBytes);
  if (beyond == byAddress_.begin()) return false;
  const Allocation& last = std::prev(beyond)->second;
  return last.address + last.sizeBytes > address;
}

bool Allocations::covers(uint64_t address, uint64_t sizeBytes) const {
  std::shared_lock lock(mutex_);
  const Allocation* entry = locate(address);
  if (!entry) return false;
  uint64_t offset = address - (address - entry->address < entry->sizeBytes ? entry->address : entry->host);
  // Mappings of the virtual-memory calls that touch are one range for a copy.
  while (sizeBytes > entry->sizeBytes - offset) {
    if (entry->kind != MemoryKind::VirtualRange) return false;
    sizeBytes -= entry->sizeBytes - offset;
    auto next = byAddress_.find(entry->address + entry->sizeBytes);
    if (next == byAddress_.end()) return false;
    entry = &next->second;
    offset = 0;
  }
  return true;
}

}  // namespace vgpu::shim
