// How much device memory the sessions of one vGPU hold together: a memfd that the daemon makes and seals in
// size, and that every executor of the vGPU maps. One limit, written by the daemon, and one counter a
// session, written by its executor alone. So an executor that dies leaves nothing behind but its counter,
// which the daemon clears. An executor belongs to its guest: one that was taken over can spoil these numbers
// for its own vGPU, and for no other.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::link {

inline constexpr uint32_t kLedgerPlaces = 1023;  // sessions of one vGPU at a time

struct LedgerPage {
  std::atomic<uint64_t> limitBytes;
  std::array<std::atomic<uint64_t>, kLedgerPlaces> heldBytes;

  uint64_t sum() const;
};

// Executor's side: one session's place. Any thread.
class LedgerPlace {
 public:
  // Fails by name where the page is none, or there is no such place.
  static Result<LedgerPlace> open(int memfd, uint32_t place);

  // Takes memory of the vGPU; false when it has not so much left.
  bool take(uint64_t sizeBytes);
  void giveBack(uint64_t sizeBytes);
  uint64_t limitBytes() const { return page().limitBytes.load(std::memory_order_relaxed); }
  uint64_t freeBytes() const;

 private:
  LedgerPlace(Mapping mapping, uint32_t place) : mapping_(std::move(mapping)), place_(place) {}
  LedgerPage& page() const { return *reinterpret_cast<LedgerPage*>(mapping_.data()); }

  Mapping mapping_;
  uint32_t place_;
};

// Daemon's side. Main thread, but for usedBytes().
class MemoryLedger {
 public:
  static Result<MemoryLedger> make(uint64_t limitBytes);

  int fd() const { return memfd_.get(); }
  void setLimit(uint64_t limitBytes);
  uint64_t usedBytes() const { return page().sum(); }
  // A place for one more session; nothing when all are taken.
  std::optional<uint32_t> takePlace();
  // The session is over: what it held is free.
  void freePlace(uint32_t place);

 private:
  MemoryLedger(UniqueFd memfd, Mapping mapping) : memfd_(std::move(memfd)), mapping_(std::move(mapping)) {}
  LedgerPage& page() const { return *reinterpret_cast<LedgerPage*>(mapping_.data()); }

  UniqueFd memfd_;
  Mapping mapping_;
  std::vector<bool> taken_ = std::vector<bool>(kLedgerPlaces);
};

}  // namespace vgpu::link
