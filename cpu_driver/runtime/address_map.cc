#include "cpu_driver/runtime/address_map.h"

#include <algorithm>
#include <mutex>

namespace vgpu::cpu {

const std::shared_ptr<Allocation>* AddressMap::at(uintptr_t address) const {
  auto next = ranges_.upper_bound(address);
  if (next == ranges_.begin()) return nullptr;
  const auto& candidate = std::prev(next)->second;
  return candidate->contains(address) ? &candidate : nullptr;
}

bool AddressMap::insert(std::shared_ptr<Allocation> allocation) {
  std::lock_guard lock(mutex_);
  if (at(allocation->base)) return false;
  const auto next = ranges_.lower_bound(allocation->base);
  if (next != ranges_.end() && next->first - allocation->base < allocation->sizeBytes) return false;
  ranges_.emplace_hint(next, allocation->base, std::move(allocation));
  return true;
}

std::shared_ptr<Allocation> AddressMap::find(uintptr_t address) const {
  std::shared_lock lock(mutex_);
  const auto* found = at(address);
  return found ? *found : nullptr;
}

std::shared_ptr<Allocation> AddressMap::remove(uintptr_t base) {
  std::lock_guard lock(mutex_);
  const auto found = ranges_.find(base);
  if (found == ranges_.end()) return nullptr;
  auto allocation = std::move(found->second);
  ranges_.erase(found);
  return allocation;
}

bool AddressMap::remove(const Allocation& allocation) {
  std::lock_guard lock(mutex_);
  const auto found = ranges_.find(allocation.base);
  if (found == ranges_.end() || found->second.get() != &allocation) return false;
  ranges_.erase(found);
  return true;
}

bool AddressMap::covers(uintptr_t address, size_t sizeBytes) const {
  if (sizeBytes == 0) return true;
  if (address + sizeBytes < address) return false;
  std::shared_lock lock(mutex_);
  const uintptr_t end = address + sizeBytes;
  while (address < end) {
    const auto* found = at(address);
    if (!found) return false;
    address = (*found)->base + (*found)->sizeBytes;
  }
  return true;
}

std::shared_ptr<Allocation> AddressMap::firstIn(uintptr_t address, size_t sizeBytes) const {
  std::shared_lock lock(mutex_);
  if (const auto* found = at(address)) return *found;
  const auto next = ranges_.lower_bound(address);
  if (next != ranges_.end() && next->first - address < sizeBytes) return next->second;
  return nullptr;
}

}  // namespace vgpu::cpu
