// Blobs: module images on their way, gathered from records until a load names them. Dispatcher thread only; a
// blob taken for a load belongs to that load. Sizes and bytes are the guest's: bounded before memory is
// taken, content unchecked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "protocol/marshal/limits.h"

namespace vgpu::executor {

class Blobs {
 public:
  // Zeros behind every image: text is terminated, and a header that promises more than was sent reads zeros.
  static constexpr size_t kPaddingBytes = 4096;
  // Announced together at one time: two of the largest.
  static constexpr uint64_t kMostBytes = 2 * uint64_t{protocol::kMaxImageBytes};
  static constexpr size_t kMostBlobs = 64;

  enum class Append { Ok, NoMemory, Lie };
  Append append(uint32_t id, uint64_t totalBytes, std::span<const std::byte> bytes);
  // The whole image with its padding; nothing where it is unknown or not complete.
  std::optional<std::vector<std::byte>> take(uint32_t id);

 private:
  struct Blob {
    uint64_t totalBytes = 0;
    std::vector<std::byte> bytes;
  };
  std::unordered_map<uint32_t, Blob> blobs_;
  uint64_t announcedBytes_ = 0;
};

}  // namespace vgpu::executor
