#include "mediator/link/memory_ledger.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace vgpu::link {
namespace {

constexpr size_t kPageBytes = sizeof(LedgerPage);
static_assert(kPageBytes == 8192 && std::atomic<uint64_t>::is_always_lock_free);

Result<Mapping> mapPage(int memfd) {
  void* memory = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
  if (memory == MAP_FAILED) return errnoError("map a vGPU's memory ledger");
  return Mapping(memory, kPageBytes);
}

}  // namespace

// The counters come from processes that their guests may have taken over: a sum never wraps around.
uint64_t LedgerPage::sum() const {
  uint64_t sum = 0;
  for (const auto& held : heldBytes) {
    if (__builtin_add_overflow(sum, held.load(std::memory_order_seq_cst), &sum)) return UINT64_MAX;
  }
  return sum;
}

Result<LedgerPlace> LedgerPlace::open(int memfd, uint32_t place) {
  const std::string operation = "open the vGPU's memory ledger";
  struct stat status;
  if (::fstat(memfd, &status) < 0) return errnoError(operation);
  if (status.st_size != static_cast<off_t>(kPageBytes)) return Error{operation, "not of this version"};
  if (place >= kLedgerPlaces) return Error{operation, "no place " + std::to_string(place)};
  auto mapping = mapPage(memfd);
  if (!mapping) return mapping.error();
  return LedgerPlace(std::move(*mapping), place);
}

// All sessions announce before they look, so that together they never have more than the limit. Two that meet
// there may both find it exceeded; one whose predecessors have taken back what they announced then has room.
bool LedgerPlace::take(uint64_t sizeBytes) {
  constexpr int kAttempts = 3;
  if (sizeBytes > limitBytes()) return false;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    page().heldBytes[place_].fetch_add(sizeBytes, std::memory_order_seq_cst);
    if (page().sum() <= limitBytes()) return true;
    giveBack(sizeBytes);
    if (sizeBytes > freeBytes()) return false;
    for (uint32_t turns = 0; turns <= place_; ++turns) ::sched_yield();
  }
  return false;
}

void LedgerPlace::giveBack(uint64_t sizeBytes) {
  page().heldBytes[place_].fetch_sub(sizeBytes, std::memory_order_seq_cst);
}

uint64_t LedgerPlace::freeBytes() const {
  const uint64_t limit = limitBytes(), used = page().sum();
  return used < limit ? limit - used : 0;
}

Result<MemoryLedger> MemoryLedger::make(uint64_t limitBytes) {
  UniqueFd memfd(::memfd_create("vgpu-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd.valid() || ::ftruncate(memfd.get(), kPageBytes) < 0 ||
      ::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    return errnoError("make a vGPU's memory ledger");
  }
  auto mapping = mapPage(memfd.get());
  if (!mapping) return mapping.error();
  MemoryLedger ledger(std::move(memfd), std::move(*mapping));
  ledger.setLimit(limitBytes);
  return ledger;
}

void MemoryLedger::setLimit(uint64_t limitBytes) {
  page().limitBytes.store(limitBytes, std::memory_order_relaxed);
}

std::optional<uint32_t> MemoryLedger::takePlace() {
  const auto free = std::find(taken_.begin(), taken_.end(), false);
  if (free == taken_.end()) return std::nullopt;
  *free = true;
  return static_cast<uint32_t>(free - taken_.begin());
}

void MemoryLedger::freePlace(uint32_t place) {
  page().heldBytes[place].store(0, std::memory_order_seq_cst);
  taken_[place] = false;
}

}  // namespace vgpu::link
