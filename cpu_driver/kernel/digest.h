// SHA-256 (FIPS 180-4), to name and to check cached code. Any thread; owns nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vgpu::kernel {

using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  Sha256& add(std::span<const std::byte> bytes);
  Sha256& add(std::string_view text) { return add(std::as_bytes(std::span(text.data(), text.size()))); }
  // Of a plain value's bytes; lengths of what varies must be added too, so that different parts cannot read
  // the same.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  Sha256& addValue(const T& value) {
    return add(std::as_bytes(std::span(&value, 1)));
  }
  Digest finish();

 private:
  void block(const uint8_t* bytes);
  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_{};
  uint64_t length_ = 0;
};

Digest digestOf(std::string_view text);
std::string hexOf(const Digest& digest);

}  // namespace vgpu::kernel
