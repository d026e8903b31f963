// A map from addresses to records that is read without a lock on every launch and grows under one. Records
// and old tables are never freed: readers may still hold them, and calls come after static destructors. Any
// thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace vgpu::cudart {

template <class Record>
class PointerTable {
 public:
  constexpr PointerTable() = default;

  // The record put under `key`, or null.
  Record* find(const void* key) const {
    const Table* table = table_.load(std::memory_order_acquire);
    if (table == nullptr || key == nullptr) return nullptr;
    for (size_t i = slotOf(key, table->mask);; i = (i + 1) & table->mask) {
      const void* found = table->slots[i].key.load(std::memory_order_acquire);
      if (found == key) return table->slots[i].record.load(std::memory_order_acquire);
      if (found == nullptr) return nullptr;
    }
  }

  // Puts or replaces; a null record takes the key out of sight. The caller holds the writers' lock.
  void put(const void* key, Record* record) {
    Table* table = table_.load(std::memory_order_relaxed);
    if (table == nullptr || (used_ + 1) * 2 > table->mask) table = grow(table);
    if (insert(table, key, record)) ++used_;
  }

 private:
  struct Slot {
    std::atomic<const void*> key{nullptr};
    std::atomic<Record*> record{nullptr};
  };
  struct Table {
    size_t mask;
    Slot* slots;
    Table* smaller;  // what it grew from, which readers may still be in
  };
  static constexpr size_t kFirstSlots = 256;

  static size_t slotOf(const void* key, size_t mask) {
    auto bits = reinterpret_cast<uintptr_t>(key);
    return static_cast<size_t>((bits * 0x9e3779b97f4a7c15ULL) >> 32) & mask;
  }

  static bool insert(Table* table, const void* key, Record* record) {
    for (size_t i = slotOf(key, table->mask);; i = (i + 1) & table->mask) {
      Slot& slot = table->slots[i];
      const void* found = slot.key.load(std::memory_order_relaxed);
      if (found != nullptr && found != key) continue;
      slot.record.store(record,
                        std::memory_order_release);  // before the key: a reader that sees it sees both
      slot.key.store(key, std::memory_order_release);
      return found == nullptr;
    }
  }

  Table* grow(Table* old) {
    size_t slots = old == nullptr ? kFirstSlots : (old->mask + 1) * 2;
    auto* table = new Table{slots - 1, new Slot[slots], old};
    for (size_t i = 0; old != nullptr && i <= old->mask; ++i) {
      const void* key = old->slots[i].key.load(std::memory_order_relaxed);
      if (key != nullptr) insert(table, key, old->slots[i].record.load(std::memory_order_relaxed));
    }
    table_.store(table, std::memory_order_release);
    return table;
  }

  std::atomic<Table*> table_{nullptr};
  size_t used_ = 0;
};

}  // namespace vgpu::cudart
