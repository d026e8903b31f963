// The guest's handles of one kind: index and generation to object. Lookup takes no lock (it is on the path of
// every launch); making and removing take one. An object outlives its handle: removal gives the pointer back,
// and the caller decides when it dies (objects that a racing thread may still hold are kept until the session
// ends).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "protocol/marshal/handle.h"
#include "protocol/marshal/limits.h"

namespace vgpu::shim {

template <class Object, protocol::Kind kind>
class HandleTable {
 public:
  HandleTable() = default;
  ~HandleTable() {
    for (auto& block : blocks_) delete[] block.load(std::memory_order_relaxed);
  }
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  // The handle of a new slot that holds `object`; a handle of no kind when the table is full.
  protocol::Handle insert(Object* object) {
    std::lock_guard lock(mutex_);
    uint32_t index;
    if (!freeIndices_.empty()) {
      index = freeIndices_.back();
      freeIndices_.pop_back();
    } else {
      if (used_ == protocol::kMaxObjects) return {};
      index = used_++;
      std::atomic<Slot*>& block = blocks_[index / kBlockSlots];
      if (!block.load(std::memory_order_relaxed))
        block.store(new Slot[kBlockSlots], std::memory_order_release);
    }
    Slot& slot = *slotAt(index);
    const uint32_t generation = slot.generation.load(std::memory_order_relaxed);
    slot.object.store(object, std::memory_order_release);
    return protocol::Handle(kind, generation, index);
  }

  // The live object of `handle`, or null: wrong kind, never made, or destroyed.
  Object* find(uint64_t bits) const {
    const protocol::Handle handle(bits);
    if (!handle.wellFormed() || handle.kind() != kind || handle.index() >= protocol::kMaxObjects)
      return nullptr;
    Slot* slot = slotAt(handle.index());
    if (!slot || slot->generation.load(std::memory_order_acquire) != handle.generation()) return nullptr;
    return slot->object.load(std::memory_order_acquire);
  }
  template <class Opaque>
  Object* find(Opaque* pointer) const {
    return find(reinterpret_cast<uint64_t>(pointer));
  }

  // Takes the object out; null if it was not live. Its handle is dead from here on.
  Object* remove(protocol::Handle handle) {
    std::lock_guard lock(mutex_);
    Object* object = find(handle.bits());
    if (!object) return nullptr;
    Slot& slot = *slotAt(handle.index());
    slot.object.store(nullptr, std::memory_order_release);
    slot.generation.store((handle.generation() + 1) & protocol::Handle::kMaxGeneration,
                          std::memory_order_release);
    freeIndices_.push_back(handle.index());
    return object;
  }

  template <class Visit>
  void forEach(Visit&& visit) const {
    std::lock_guard lock(mutex_);
    for (uint32_t index = 0; index < used_; ++index) {
      if (Object* object = slotAt(index)->object.load(std::memory_order_acquire)) visit(*object);
    }
  }

 private:
  struct Slot {
    std::atomic<Object*> object{nullptr};
    std::atomic<uint32_t> generation{1};
  };
  static constexpr uint32_t kBlockSlots = 4096;

  Slot* slotAt(uint32_t index) const {
    Slot* block = blocks_[index / kBlockSlots].load(std::memory_order_acquire);
    return block ? block + index % kBlockSlots : nullptr;
  }

  mutable std::mutex mutex_;
  std::array<std::atomic<Slot*>, protocol::kMaxObjects / kBlockSlots> blocks_{};
  std::vector<uint32_t> freeIndices_;
  uint32_t used_ = 0;
};

}  // namespace vgpu::shim
