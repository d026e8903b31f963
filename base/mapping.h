// Mapping: sole owner of a range of this process's addresses, unmapped when it goes.
// Whoever maps memory that a peer may write must treat its bytes as untrusted; the mapping does not.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/result.h"

namespace vgpu {

class Mapping {
 public:
  Mapping() = default;
  Mapping(void* address, size_t sizeBytes) : address_(address), sizeBytes_(sizeBytes) {}
  Mapping(Mapping&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), sizeBytes_(std::exchange(other.sizeBytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    reset();
    address_ = std::exchange(other.address_, nullptr);
    sizeBytes_ = std::exchange(other.sizeBytes_, 0);
    return *this;
  }
  ~Mapping() { reset(); }

  void reset();
  // Gives the range up without unmapping it: whoever takes it over unmaps it.
  void* release() {
    sizeBytes_ = 0;
    return std::exchange(address_, nullptr);
  }
  std::byte* data() const { return static_cast<std::byte*>(address_); }
  size_t sizeBytes() const { return sizeBytes_; }
  bool valid() const { return address_ != nullptr; }
  std::span<std::byte> bytes() const { return {data(), sizeBytes_}; }

 private:
  void* address_ = nullptr;
  size_t sizeBytes_ = 0;
};

// Maps `sizeBytes` of `fd` from `offset`, shared, readable and writable as `protection` says (PROT_*).
Result<Mapping> mapShared(int fd, size_t offset, size_t sizeBytes, int protection);

// Reserves addresses without memory (PROT_NONE, MAP_NORESERVE) at exactly `address`; fails where any of it is
// taken.
Result<Mapping> reserveAt(uintptr_t address, size_t sizeBytes);

}  // namespace vgpu
