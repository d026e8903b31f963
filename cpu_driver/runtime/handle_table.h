// Handles of the driver's objects: index and generation with a tag for the kind of object, never an address.
// Any thread. The table owns the objects (shared with work in flight); find() is lock-free, because every
// launch asks. A handle comes from the program and may be anything: null, stale, or of another kind. find()
// answers null for those.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace vgpu::cpu {

template <class T, class Handle, uint16_t kTag>
class HandleTable {
 public:
  // Null when the table is full.
  Handle insert(std::shared_ptr<T> object) {
    std::lock_guard lock(mutex_);
    uint32_t index;
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
    } else {
      if (used_ == kSlotsPerChunk * kChunks) return Handle{};
      index = used_++;
      if (index % kSlotsPerChunk == 0)
        chunks_[index / kSlotsPerChunk].store(new Chunk, std::memory_order_release);
    }
    Slot& slot = *slotAt(index);
    const uint64_t bits = encode(index, slot.generation);
    slot.owner = std::move(object);
    slot.object.store(slot.owner.get(), std::memory_order_relaxed);
    slot.handle.store(bits, std::memory_order_release);
    return toHandle(bits);
  }

  // Valid until the program destroys the object; using a handle while destroying it is the program's error.
  T* find(Handle handle) const {
    const Slot* slot = slotOf(handle);
    return slot ? slot->object.load(std::memory_order_relaxed) : nullptr;
  }

  std::shared_ptr<T> share(Handle handle) const {
    std::lock_guard lock(mutex_);
    const Slot* slot = slotOf(handle);
    return slot ? slot->owner : nullptr;
  }

  std::shared_ptr<T> remove(Handle handle) {
    std::lock_guard lock(mutex_);
    Slot* slot = const_cast<Slot*>(slotOf(handle));
    if (!slot) return nullptr;
    return takeOut(*slot, indexOf(toBits(handle)));
  }

  template <class Belongs>
  void removeIf(Belongs&& belongs) {
    std::vector<std::shared_ptr<T>> removed;  // whose ends may come back here
    std::lock_guard lock(mutex_);
    for (uint32_t index = 0; index < used_; ++index) {
      Slot& slot = *slotAt(index);
      if (slot.owner && belongs(*slot.owner)) removed.push_back(takeOut(slot, index));
    }
  }

 private:
  struct Slot {
    std::atomic<uint64_t> handle{0};
    std::atomic<T*> object{nullptr};
    uint32_t generation = 1;
    std::shared_ptr<T> owner;
  };
  static constexpr uint32_t kSlotsPerChunk = 1024;
  static constexpr uint32_t kChunks = 4096;
  static constexpr unsigned kIndexBits = 22;
  static constexpr unsigned kGenerationBits = 24;
  static constexpr uint32_t kGenerations = 1u << kGenerationBits;
  using Chunk = std::array<Slot, kSlotsPerChunk>;

  std::shared_ptr<T> takeOut(Slot& slot, uint32_t index) {
    slot.handle.store(0, std::memory_order_release);
    slot.object.store(nullptr, std::memory_order_relaxed);
    // A generation that wrapped would make an old handle valid again: such a slot is retired for good.
    if (++slot.generation < kGenerations) free_.push_back(index);
    return std::move(slot.owner);
  }

  static uint64_t encode(uint32_t index, uint32_t generation) {
    return uint64_t{kTag} << (kIndexBits + kGenerationBits) | uint64_t{generation} << kIndexBits | index;
  }
  static uint32_t indexOf(uint64_t bits) { return static_cast<uint32_t>(bits & ((1u << kIndexBits) - 1)); }
  static uint64_t toBits(Handle handle) {
    if constexpr (std::is_pointer_v<Handle>)
      return reinterpret_cast<uintptr_t>(handle);
    else
      return handle;
  }
  static Handle toHandle(uint64_t bits) {
    if constexpr (std::is_pointer_v<Handle>)
      return reinterpret_cast<Handle>(bits);
    else
      return bits;
  }

  Slot* slotAt(uint32_t index) const {
    Chunk* chunk = chunks_[index / kSlotsPerChunk].load(std::memory_order_acquire);
    return chunk ? &(*chunk)[index % kSlotsPerChunk] : nullptr;
  }
  const Slot* slotOf(Handle handle) const {
    const uint64_t bits = toBits(handle);
    if (bits >> (kIndexBits + kGenerationBits) != kTag) return nullptr;
    const Slot* slot = slotAt(indexOf(bits));
    return slot && slot->handle.load(std::memory_order_acquire) == bits ? slot : nullptr;
  }

  mutable std::mutex mutex_;
  std::array<std::atomic<Chunk*>, kChunks> chunks_{};
  std::vector<uint32_t> free_;
  uint32_t used_ = 0;
};

}  // namespace vgpu::cpu
