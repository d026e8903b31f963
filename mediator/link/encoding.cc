#include "mediator/link/encoding.h"

#include <cstring>

namespace vgpu::link {

void Encoder::word(uint64_t value) {
  const size_t at = bytes_.size();
  bytes_.resize(at + sizeof value);
  std::memcpy(bytes_.data() + at, &value, sizeof value);
}

void Encoder::text(std::string_view value) {
  word(value.size());
  const auto* data = reinterpret_cast<const std::byte*>(value.data());
  bytes_.insert(bytes_.end(), data, data + value.size());
}

std::span<const std::byte> Decoder::take(size_t sizeBytes) {
  if (!ok_ || sizeBytes > rest_.size()) {
    ok_ = false;
    return {};
  }
  const auto taken = rest_.first(sizeBytes);
  rest_ = rest_.subspan(sizeBytes);
  return taken;
}

uint64_t Decoder::word() {
  uint64_t value = 0;
  const auto taken = take(sizeof value);
  if (!ok_) return 0;
  std::memcpy(&value, taken.data(), sizeof value);
  return value;
}

uint64_t Decoder::word(uint64_t largest) {
  const uint64_t value = word();
  if (value > largest) ok_ = false;
  return ok_ ? value : 0;
}

std::string Decoder::text(size_t longest) {
  const uint64_t sizeBytes = word(longest);
  const auto taken = take(static_cast<size_t>(sizeBytes));
  return std::string(reinterpret_cast<const char*>(taken.data()), taken.size());
}

}  // namespace vgpu::link
