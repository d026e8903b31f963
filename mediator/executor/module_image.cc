#include "mediator/executor/module_image.h"

#include <cstring>

namespace vgpu::executor {
namespace {

constexpr uint32_t kWrapperMagic = 0x466243b1;  // fatbinary_section.h, FATBINC_MAGIC
constexpr uint32_t kLinkedVersion = 2;          // FATBINC_LINK_VERSION
constexpr uint32_t kContainerMagic = 0xba55ed50;
// Objects of one program; a small lie must not make a long list.
constexpr size_t kMostObjects = 65536;

struct ContainerHeader {
  uint32_t magic;
  uint16_t version, headerBytes;
  uint64_t bodyBytes;
};

uint32_t firstWord(std::span<const std::byte> bytes) {
  uint32_t word = 0;
  if (bytes.size() >= sizeof word) std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

// The containers that lie one behind the other in exactly these bytes; none where that is not what they are.
std::vector<const void*> containersIn(std::span<const std::byte> bytes) {
  std::vector<const void*> containers;
  while (!bytes.empty()) {
    ContainerHeader header;
    if (bytes.size() < sizeof header || containers.size() > kMostObjects) return {};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != kContainerMagic || header.headerBytes < sizeof header ||
        header.headerBytes > bytes.size() || header.bodyBytes > bytes.size() - header.headerBytes)
      return {};
    containers.push_back(bytes.data());
    bytes = bytes.subspan(header.headerBytes + header.bodyBytes);
  }
  return containers;
}

}  // namespace

bool ModuleImage::holdsPointers(std::span<const std::byte> image) {
  return firstWord(image) == kWrapperMagic;
}

ModuleImage::ModuleImage(std::vector<std::byte> bytes, size_t paddingBytes) : bytes_(std::move(bytes)) {
  if (firstWord(bytes_) != kContainerMagic) return;
  auto containers = containersIn(std::span(bytes_).first(bytes_.size() - paddingBytes));
  if (containers.size() < 2) return;
  wrapper_ = {kWrapperMagic, kLinkedVersion, containers.front(), nullptr};
  objects_.assign(containers.begin() + 1, containers.end());
  objects_.push_back(nullptr);
  wrapper_.objects = objects_.data();
}

}  // namespace vgpu::executor
