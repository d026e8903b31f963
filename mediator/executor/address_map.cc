#include "mediator/executor/address_map.h"

namespace vgpu::executor {

bool AddressMap::overlaps(uint64_t address, uint64_t sizeBytes) const {
  if (sizeBytes > UINT64_MAX - address) return true;
  auto after = blocks_.lower_bound(address + sizeBytes);
  if (after == blocks_.begin()) return false;
  const MemoryBlock& before = std::prev(after)->second;
  return before.address + before.sizeBytes > address;
}

bool AddressMap::insert(MemoryBlock block) {
  if (block.sizeBytes == 0 || overlaps(block.address, block.sizeBytes)) return false;
  const uint64_t address = block.address;
  blocks_.emplace(address, std::move(block));
  return true;
}

MemoryBlock* AddressMap::search(uint64_t address) {
  auto after = blocks_.upper_bound(address);
  if (after == blocks_.begin()) return nullptr;
  MemoryBlock& block = std::prev(after)->second;
  if (address - block.address >= block.sizeBytes) return nullptr;
  last_ = &block;
  return last_;
}

MemoryBlock* AddressMap::findStart(uint64_t address) {
  auto found = blocks_.find(address);
  return found == blocks_.end() ? nullptr : &found->second;
}

bool AddressMap::coversSlowly(uint64_t address, uint64_t sizeBytes) {
  if (sizeBytes > UINT64_MAX - address) return false;
  const uint64_t end = address + sizeBytes;
  while (address < end) {
    const MemoryBlock* block = search(address);
    if (!block) return false;
    address = block->address + block->sizeBytes;
  }
  return true;
}

void AddressMap::remove(uint64_t address) {
  last_ = nullptr;
  blocks_.erase(address);
}

}  // namespace vgpu::executor
