#include "cpu_driver/kernel/image.h"

#include <sys/mman.h>

#include <cstring>

#include "cpu_driver/kernel/imports.h"

namespace vgpu::kernel {
namespace {

constexpr uint32_t kPageBytes = 4096;
constexpr uint32_t kMaxImageBytes =
    256u << 20;  // far above any kernel's code; bounds what a corrupt file makes us map

Error bad(const char* cause) { return Error{"load kernel image", cause, 0}; }

uint64_t pages(uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

const char* checkHeader(const ImageHeader& header, size_t blobBytes) {
  if (header.magic != kImageMagic) return "not a kernel image";
  if (header.abiVersion != kAbiVersion) return "made for another version of the driver";
  if (header.totalBytes != blobBytes || blobBytes > kMaxImageBytes) return "its size is not what it says";
  if (header.form != uint32_t(Form::Loops) && header.form != uint32_t(Form::Fibers)) return "unknown form";
  if (header.importCount > importCount()) return "too many imports";
  const uint64_t imports = sizeof(ImageHeader) + uint64_t{header.importCount} * 4;
  if (header.codeOffset % kPageBytes != 0 || header.constantsOffset % kPageBytes != 0 ||
      header.importTableOffset % kPageBytes != 0)
    return "unaligned section";
  if (header.codeOffset < imports || header.codeBytes == 0) return "bad code section";
  if (header.constantsOffset != header.codeOffset + pages(header.codeBytes)) return "bad constants section";
  if (header.importTableOffset != header.constantsOffset + pages(header.constantsBytes))
    return "bad import table";
  if (header.totalBytes < uint64_t{header.constantsOffset} + header.constantsBytes) return "truncated";
  if (header.totalBytes > header.importTableOffset) return "bytes after its end";
  if (header.entryOffset >= header.codeBytes) return "entry outside the code";
  if (header.stackBytes > (64u << 20) || header.scratchBytes > (1u << 30) ||
      header.staticSharedBytes > (1u << 20))
    return "absurd sizes";
  return nullptr;
}

}  // namespace

const char* formName(Form form) {
  switch (form) {
    case Form::Loops:
      return "loops";
    case Form::Fibers:
      return "fibers";
    default:
      return "auto";
  }
}

LoadedImage::~LoadedImage() = default;

bool LoadedImage::contains(uintptr_t codeAddress) const {
  const auto begin = reinterpret_cast<uintptr_t>(mapping_.data()) + header_.codeOffset;
  return codeAddress >= begin && codeAddress < begin + header_.codeBytes;
}

Result<std::shared_ptr<LoadedImage>> loadImage(std::span<const std::byte> blob) {
  ImageHeader header;
  if (blob.size() < sizeof header) return bad("truncated");
  std::memcpy(&header, blob.data(), sizeof header);
  if (const char* cause = checkHeader(header, blob.size())) return bad(cause);

  const size_t tableBytes = header.importCount * sizeof(uint64_t);
  const size_t mappedBytes = header.importTableOffset + pages(tableBytes);
  void* memory = mmap(nullptr, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errnoError("map kernel image");
  std::shared_ptr<LoadedImage> image(new LoadedImage);
  image->header_ = header;
  image->mapping_ = Mapping(memory, mappedBytes);
  std::memcpy(memory, blob.data(), blob.size());
  for (uint32_t i = 0; i < header.importCount; ++i) {
    uint32_t number = 0;
    std::memcpy(&number, blob.data() + sizeof header + i * sizeof number, sizeof number);
    const void* address = importAddress(number);
    if (!address) return bad("unknown import");
    std::memcpy(image->mapping_.data() + header.importTableOffset + i * sizeof address, &address,
                sizeof address);
  }
  if (mprotect(memory, mappedBytes, PROT_READ) != 0 ||
      mprotect(image->mapping_.data() + header.codeOffset, pages(header.codeBytes), PROT_READ | PROT_EXEC) !=
          0)
    return errnoError("protect kernel image");
  return image;
}

}  // namespace vgpu::kernel
