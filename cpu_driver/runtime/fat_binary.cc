#include "cpu_driver/runtime/fat_binary.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace vgpu::fat_binary {
namespace {

struct ContainerHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t headerBytes;
  uint64_t sizeBytes;
};
static_assert(sizeof(ContainerHeader) == kContainerHeaderBytes);

// Layout found in what `fatbinary` of CUDA 12 and 13 writes; the vendor documents only the wrapper.
struct EntryHeader {
  uint16_t kind;
  uint16_t attributes;
  uint32_t headerBytes;
  uint64_t sizeBytes;  // to the next entry, padding included
  uint32_t compressedBytes;
  uint32_t optionsOffset;
  uint16_t minor;
  uint16_t major;
  uint32_t architecture;
  uint32_t nameOffset;
  uint32_t nameBytes;
  uint64_t flags;
  uint64_t reserved;
  uint64_t uncompressedBytes;
};
static_assert(sizeof(EntryHeader) == 64);

constexpr uint64_t kFlagLz4 = 0x2000;
constexpr uint64_t kFlagZstd = 0x8000;
constexpr uint64_t kFlagArchitectureSpecific = 0x100000;  // compute_90a
constexpr uint64_t kFlagFamilySpecific = 0x200000;        // compute_100f

struct Wrapper {
  uint32_t magic;
  uint32_t version;
  const void* data;
  const void* const* list;
};
static_assert(sizeof(Wrapper) == 24);

Error malformed(std::string cause) { return Error{"read fat binary", std::move(cause), 0}; }

Result<Image> parseEntry(std::span<const std::byte> rest, const EntryHeader& header) {
  Image image;
  image.kind = header.kind;
  image.architecture = header.architecture;
  image.uncompressedBytes = header.sizeBytes;
  if (header.flags & kFlagArchitectureSpecific) image.suffix = 'a';
  if (header.flags & kFlagFamilySpecific) image.suffix = 'f';
  uint64_t payloadBytes = header.sizeBytes;
  if (header.flags & (kFlagLz4 | kFlagZstd)) {
    image.compression = header.flags & kFlagLz4 ? Compression::Lz4 : Compression::Zstd;
    image.uncompressedBytes = header.uncompressedBytes;
    payloadBytes = header.compressedBytes;
    if (payloadBytes > header.sizeBytes)
      return malformed("an image's compressed size is larger than its entry");
  }
  image.payload = rest.subspan(header.headerBytes, payloadBytes);
  return image;
}

Result<std::string> decompressLz4(const Image& image) {
  constexpr uint64_t kMost = std::numeric_limits<int>::max();
  if (image.uncompressedBytes > kMost || image.payload.size() > kMost)
    return malformed("an LZ4 image is too large");
  std::string text(image.uncompressedBytes, '\0');
  const int got = LZ4_decompress_safe(reinterpret_cast<const char*>(image.payload.data()), text.data(),
                                      static_cast<int>(image.payload.size()), static_cast<int>(text.size()));
  if (got < 0 || static_cast<size_t>(got) != text.size())
    return malformed("an LZ4 image does not decompress");
  return text;
}

Result<std::string> decompressZstd(const Image& image) {
  std::string text(image.uncompressedBytes, '\0');
  const size_t got = ZSTD_decompress(text.data(), text.size(), image.payload.data(), image.payload.size());
  if (ZSTD_isError(got))
    return malformed(std::string("a zstd image does not decompress: ") + ZSTD_getErrorName(got));
  if (got != text.size()) return malformed("a zstd image is shorter than stated");
  return text;
}

}  // namespace

Result<size_t> containerBytes(std::span<const std::byte> header) {
  ContainerHeader container;
  if (header.size() < sizeof container) return malformed("shorter than its header");
  std::memcpy(&container, header.data(), sizeof container);
  if (container.magic != kContainerMagic) return malformed("wrong magic number");
  if (container.headerBytes < sizeof container) return malformed("its header states an impossible size");
  if (container.sizeBytes > std::numeric_limits<uint64_t>::max() / 2)
    return malformed("it states an impossible size");
  return static_cast<size_t>(container.headerBytes + container.sizeBytes);
}

Result<std::vector<Image>> parse(std::span<const std::byte> container) {
  auto total = containerBytes(container);
  if (!total) return total.error();
  if (*total > container.size()) return malformed("shorter than its header states");
  ContainerHeader header;
  std::memcpy(&header, container.data(), sizeof header);

  std::vector<Image> images;
  std::span<const std::byte> rest = container.subspan(header.headerBytes, *total - header.headerBytes);
  while (rest.size() >= sizeof(EntryHeader)) {
    EntryHeader entry;
    std::memcpy(&entry, rest.data(), sizeof entry);
    if (entry.headerBytes < sizeof entry || entry.headerBytes > rest.size()) {
      return malformed("an entry's header states an impossible size");
    }
    if (entry.sizeBytes > rest.size() - entry.headerBytes) return malformed("an entry reaches past the end");
    auto image = parseEntry(rest, entry);
    if (!image) return image.error();
    images.push_back(*image);
    rest = rest.subspan(entry.headerBytes + entry.sizeBytes);
  }
  return images;
}

std::optional<size_t> choosePtx(std::span<const Image> images, Target target) {
  std::optional<size_t> best;
  const auto rank = [&](size_t i) { return images[i].architecture * 2 + (images[i].suffix ? 1 : 0); };
  for (size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    if (!image.isPtx() || image.architecture > target.architecture) continue;
    const bool specific = image.suffix != 0;
    if (specific && (image.architecture != target.architecture || image.suffix != target.suffix)) continue;
    if (!best || rank(i) > rank(*best)) best = i;
  }
  return best;
}

Result<std::string> contents(const Image& image, size_t limitBytes) {
  if (image.uncompressedBytes > limitBytes) {
    return malformed("an image of " + std::to_string(image.uncompressedBytes) +
                     " bytes is over the limit of " + std::to_string(limitBytes));
  }
  std::string bytes;
  if (image.compression == Compression::None) {
    bytes.assign(reinterpret_cast<const char*>(image.payload.data()), image.payload.size());
  } else {
    auto decompressed = image.compression == Compression::Lz4 ? decompressLz4(image) : decompressZstd(image);
    if (!decompressed) return decompressed.error();
    bytes = std::move(*decompressed);
  }
  if (image.isPtx()) bytes.resize(std::min(bytes.size(), bytes.find('\0')));
  return bytes;
}

bool isWrapper(const void* pointer) {
  uint32_t magic = 0;
  std::memcpy(&magic, pointer, sizeof magic);
  return magic == kWrapperMagic;
}

bool isContainer(const void* pointer) {
  uint32_t magic = 0;
  std::memcpy(&magic, pointer, sizeof magic);
  return magic == kContainerMagic;
}

Result<std::span<const std::byte>> containerAt(const void* pointer) {
  const auto* bytes = static_cast<const std::byte*>(pointer);
  auto total = containerBytes({bytes, kContainerHeaderBytes});
  if (!total) return total.error();
  return std::span<const std::byte>(bytes, *total);
}

Result<Wrapped> unwrap(const void* pointer) {
  Wrapper wrapper;
  std::memcpy(&wrapper, pointer, sizeof wrapper);
  if (wrapper.magic != kWrapperMagic) return malformed("its wrapper has the wrong magic number");
  if (wrapper.version != 1 && wrapper.version != 2)
    return malformed("its wrapper has version " + std::to_string(wrapper.version));
  if (!wrapper.data) return malformed("its wrapper points nowhere");
  Wrapped wrapped;
  auto module = containerAt(wrapper.data);
  if (!module) return module.error();
  wrapped.module = *module;
  if (wrapper.version == 1 || !wrapper.list) return wrapped;
  for (const void* const* entry = wrapper.list; *entry; ++entry) {
    auto object = containerAt(*entry);
    if (!object) return object.error();
    wrapped.objects.push_back(*object);
  }
  return wrapped;
}

}  // namespace vgpu::fat_binary
