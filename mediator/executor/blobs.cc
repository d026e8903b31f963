#include "mediator/executor/blobs.h"

#include <new>

namespace vgpu::executor {

Blobs::Append Blobs::append(uint32_t id, uint64_t totalBytes, std::span<const std::byte> bytes) {
  if (totalBytes == 0 || totalBytes > protocol::kMaxImageBytes) return Append::Lie;
  auto found = blobs_.find(id);
  if (found == blobs_.end()) {
    if (blobs_.size() >= kMostBlobs || announcedBytes_ + totalBytes > kMostBytes) return Append::NoMemory;
    found = blobs_.emplace(id, Blob{totalBytes, {}}).first;
    announcedBytes_ += totalBytes;
    try {
      found->second.bytes.reserve(totalBytes + kPaddingBytes);
    } catch (const std::bad_alloc&) {
      announcedBytes_ -= totalBytes;
      blobs_.erase(found);
      return Append::NoMemory;
    }
  }
  Blob& blob = found->second;
  if (blob.totalBytes != totalBytes || bytes.size() > totalBytes - blob.bytes.size()) return Append::Lie;
  blob.bytes.insert(blob.bytes.end(), bytes.begin(), bytes.end());
  return Append::Ok;
}

std::optional<std::vector<std::byte>> Blobs::take(uint32_t id) {
  auto found = blobs_.find(id);
  if (found == blobs_.end()) return std::nullopt;
  Blob blob = std::move(found->second);
  announcedBytes_ -= blob.totalBytes;
  blobs_.erase(found);
  if (blob.bytes.size() != blob.totalBytes) return std::nullopt;
  blob.bytes.resize(blob.bytes.size() + kPaddingBytes);
  return std::move(blob.bytes);
}

}  // namespace vgpu::executor
