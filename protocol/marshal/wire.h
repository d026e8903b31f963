// Encoder and Decoder of a record's arguments: little-endian, each value at its natural alignment (at most
// 8). The decoder is sticky: after the first violation it yields zeros and remains failed, so that code reads
// straight on and asks once at the end. Its bytes are a private copy of what an untrusted peer wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace vgpu::protocol {

constexpr size_t alignUp(size_t value, size_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

template <class T>
concept Plain = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>;

// Appends to caller-owned bytes. Overflow is remembered, never written.
class Encoder {
 public:
  explicit Encoder(std::span<std::byte> into) : into_(into) {}

  template <Plain T>
  void put(const T& value) {
    if (std::byte* at = reserve(sizeof(T), alignof(T) < 8 ? alignof(T) : 8))
      std::memcpy(at, &value, sizeof(T));
  }
  void putBytes(std::span<const std::byte> bytes) {
    put(static_cast<uint32_t>(bytes.size()));
    if (std::byte* at = reserve(bytes.size(), 1)) std::memcpy(at, bytes.data(), bytes.size());
  }
  void putString(std::string_view text) { putBytes(std::as_bytes(std::span(text))); }

  bool ok() const { return ok_; }
  size_t sizeBytes() const { return used_; }
  std::span<const std::byte> bytes() const { return into_.first(used_); }

 private:
  std::byte* reserve(size_t sizeBytes, size_t alignment) {
    const size_t start = alignUp(used_, alignment);
    if (!ok_ || start > into_.size() || sizeBytes > into_.size() - start) {
      ok_ = false;
      return nullptr;
    }
    if (start > used_)
      std::memset(into_.data() + used_, 0, start - used_);  // padding carries no guest memory
    used_ = start + sizeBytes;
    return into_.data() + start;
  }

  std::span<std::byte> into_;
  size_t used_ = 0;
  bool ok_ = true;
};

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> from) : from_(from) {}

  template <Plain T>
  T get() {
    T value{};
    if (const std::byte* at = take(sizeof(T), alignof(T) < 8 ? alignof(T) : 8))
      std::memcpy(&value, at, sizeof(T));
    return value;
  }
  // A view into the private copy, at most `maxBytes` long.
  std::span<const std::byte> getBytes(size_t maxBytes) {
    const uint32_t size = get<uint32_t>();
    if (size > maxBytes) fail();
    const std::byte* at = take(size, 1);
    return at ? std::span(at, size) : std::span<const std::byte>();
  }
  std::string_view getString(size_t maxBytes) {
    const auto bytes = getBytes(maxBytes);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::span<const std::byte> rest() {
    const auto bytes = failed_ ? std::span<const std::byte>() : from_.subspan(used_);
    used_ = from_.size();
    return bytes;
  }

  void fail() { failed_ = true; }
  bool failed() const { return failed_; }

 private:
  const std::byte* take(size_t sizeBytes, size_t alignment) {
    const size_t start = alignUp(used_, alignment);
    if (failed_ || start > from_.size() || sizeBytes > from_.size() - start) {
      failed_ = true;
      return nullptr;
    }
    used_ = start + sizeBytes;
    return from_.data() + start;
  }

  std::span<const std::byte> from_;
  size_t used_ = 0;
  bool failed_ = false;
};

}  // namespace vgpu::protocol
