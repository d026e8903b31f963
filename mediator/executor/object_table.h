// ObjectTable: the session's objects of one kind, by the handles that the guest assigned. Touched by the
// dispatcher thread only; owns the objects. Handles are untrusted: index and generation are checked on every
// use. A slot may be reserved while its object is made beside the dispatcher. An object that was ended while
// operations which name it are still held back lingers under its old handle until those have started.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "protocol/marshal/handle.h"
#include "protocol/marshal/limits.h"

namespace vgpu::executor {

using protocol::Handle;
using protocol::Kind;

template <class T, Kind kKind>
class ObjectTable {
 public:
  // Whether a guest that keeps to the protocol may have assigned it.
  static bool plausible(Handle handle) {
    return handle.wellFormed() && handle.kind() == kKind && handle.index() < protocol::kMaxObjects;
  }

  T* find(Handle handle) {
    Entry* entry = entryOf(handle);
    if (entry && entry->generation == handle.generation() && entry->object) [[likely]]
      return entry->object.get();
    if (lingering_.empty()) [[likely]]
      return nullptr;
    auto found = lingering_.find(handle.bits());
    return found == lingering_.end() ? nullptr : found->second.get();
  }

  bool isFree(Handle handle) {
    if (!plausible(handle)) return false;
    const Entry* entry = entryOf(handle);
    return !entry || (!entry->object && !entry->reserved);
  }

  // `handle` is plausible and free (or reserved by the same call).
  T& insert(Handle handle, std::unique_ptr<T> object) {
    Entry& entry = grownTo(handle);
    entry.generation = handle.generation();
    entry.reserved = false;
    entry.object = std::move(object);
    return *entry.object;
  }
  void reserve(Handle handle) { grownTo(handle).reserved = true; }
  void unreserve(Handle handle) { grownTo(handle).reserved = false; }

  std::unique_ptr<T> remove(Handle handle) {
    Entry* entry = entryOf(handle);
    if (!entry || entry->generation != handle.generation()) return nullptr;
    return std::move(entry->object);
  }

  // The slot is free at once, the object can still be found by its handle.
  void linger(Handle handle) {
    if (auto object = remove(handle)) lingering_[handle.bits()] = std::move(object);
  }
  std::unique_ptr<T> takeLingering(Handle handle) {
    auto found = lingering_.find(handle.bits());
    if (found == lingering_.end()) return nullptr;
    auto object = std::move(found->second);
    lingering_.erase(found);
    return object;
  }

  // Removes every object for which `which(object)` holds.
  template <class Which>
  void removeIf(Which&& which) {
    for (auto& chunk : chunks_) {
      if (!chunk) continue;
      for (Entry& entry : *chunk) {
        if (entry.object && which(*entry.object)) entry.object.reset();
      }
    }
  }

 private:
  struct Entry {
    uint32_t generation = 0;
    bool reserved = false;
    std::unique_ptr<T> object;
  };
  static constexpr size_t kChunkEntries = 256;
  using Chunk = std::array<Entry, kChunkEntries>;

  Entry* entryOf(Handle handle) {
    if (!plausible(handle)) return nullptr;
    const size_t chunk = handle.index() / kChunkEntries;
    if (chunk >= chunks_.size() || !chunks_[chunk]) return nullptr;
    return &(*chunks_[chunk])[handle.index() % kChunkEntries];
  }
  Entry& grownTo(Handle handle) {
    const size_t chunk = handle.index() / kChunkEntries;
    if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
    if (!chunks_[chunk]) chunks_[chunk] = std::make_unique<Chunk>();
    return (*chunks_[chunk])[handle.index() % kChunkEntries];
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::unordered_map<uint64_t, std::unique_ptr<T>> lingering_;
};

}  // namespace vgpu::executor
