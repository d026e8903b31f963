// The plain form in which daemon and executor hand each other values: 64-bit little-endian words and strings
// with their length before them, in an order that both know. Any thread; owns nothing but its buffer. The
// reader is sticky: after the first value that does not fit everything reads as zero and ok() is false.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vgpu::link {

class Encoder {
 public:
  void word(uint64_t value);
  void text(std::string_view value);
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : rest_(bytes) {}

  uint64_t word();
  uint64_t word(uint64_t largest);  // fails on a larger one
  std::string text(size_t longest);
  bool ok() const { return ok_; }
  bool atEnd() const { return ok_ && rest_.empty(); }

 private:
  std::span<const std::byte> take(size_t sizeBytes);

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace vgpu::link
