// Handles that the guest assigns (streams, events, modules, ...): kind, generation and index in one 64-bit
// value. The guest's program sees the value as an opaque pointer; the executor keeps a table a kind and
// checks that the slot is free (new), or holds this very generation (use). Values come from the guest and are
// untrusted in the executor.
#pragma once

#include <cstdint>

namespace vgpu::protocol {

enum class Kind : uint8_t {
  None,
  Context,
  Stream,
  Event,
  Module,
  Function,
  Library,
  Kernel,
  Array,
  MipmappedArray,
  Link,
  Physical,
  Graph,
  kCount
};

class Handle {
 public:
  static constexpr uint32_t kMaxIndex = (1u << 24) - 1;
  static constexpr uint32_t kMaxGeneration = (1u << 24) - 1;

  constexpr Handle() = default;
  constexpr explicit Handle(uint64_t bits) : bits_(bits) {}
  constexpr Handle(Kind kind, uint32_t generation, uint32_t index)
      : bits_(kTag | uint64_t{static_cast<uint8_t>(kind)} << 48 |
              uint64_t{generation & kMaxGeneration} << 24 | (index & kMaxIndex)) {}

  constexpr uint64_t bits() const { return bits_; }
  constexpr bool wellFormed() const { return (bits_ & kTagMask) == kTag; }
  constexpr Kind kind() const { return static_cast<Kind>(bits_ >> 48 & 0xff); }
  constexpr uint32_t generation() const { return static_cast<uint32_t>(bits_ >> 24) & kMaxGeneration; }
  constexpr uint32_t index() const { return static_cast<uint32_t>(bits_) & kMaxIndex; }
  friend constexpr bool operator==(Handle, Handle) = default;

 private:
  // A tag that is no canonical address: a program that dereferences a handle faults at once.
  static constexpr uint64_t kTag = uint64_t{0x56} << 56;
  static constexpr uint64_t kTagMask = uint64_t{0xff} << 56;
  uint64_t bits_ = 0;
};

// The two default streams, by the values that CUDA gives them (cuda.h, CU_STREAM_LEGACY and
// CU_STREAM_PER_THREAD).
constexpr uint64_t kLegacyStream = 1;
constexpr uint64_t kPerThreadStream = 2;

}  // namespace vgpu::protocol
