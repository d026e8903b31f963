// Fat binaries: the container in which nvcc keeps several images (PTX text, machine code) of one module.
// Any process, any thread: the guest's runtime, the CPU driver and the fuzzer use it. Nothing here owns a
// caller's bytes; an Image points into the container that it was parsed from. The bytes of a container are
// untrusted: every size is checked against the span given. Wrappers hold pointers, so they are read only from
// one's own process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vgpu::fat_binary {

inline constexpr uint32_t kWrapperMagic = 0x466243b1;    // fatbinary_section.h, FATBINC_MAGIC
inline constexpr uint32_t kContainerMagic = 0xba55ed50;  // first word of what the wrapper's data points to
inline constexpr size_t kContainerHeaderBytes = 16;

// Larger than any module seen (an inference backend has about 100 MiB of PTX); bounds what a small lie can
// allocate.
inline constexpr size_t kMaxImageBytes = size_t{1} << 30;

enum class Kind : uint16_t { Ptx = 1, Elf = 2 };
enum class Compression { None, Lz4, Zstd };

struct Image {
  uint16_t kind = 0;          // Kind, or a value that only newer tools know
  uint32_t architecture = 0;  // 90 for compute_90
  char suffix = 0;            // 'a' (this architecture only), 'f' (this family only), or 0
  Compression compression = Compression::None;
  uint64_t uncompressedBytes = 0;
  std::span<const std::byte> payload;

  bool isPtx() const { return kind == static_cast<uint16_t>(Kind::Ptx); }
  bool isElf() const { return kind == static_cast<uint16_t>(Kind::Elf); }
};

struct Target {
  uint32_t architecture = 0;
  char suffix = 0;  // 'a': also images for exactly this architecture
};

// Header and entries together, in bytes, as the header states; `header` needs its first 16 bytes.
Result<size_t> containerBytes(std::span<const std::byte> header);

// The images of one container, in its order.
Result<std::vector<Image>> parse(std::span<const std::byte> container);

// The index of the PTX that a device of `target` is given: the newest that is not newer than it.
std::optional<size_t> choosePtx(std::span<const Image> images, Target target);

// The image's bytes, decompressed to exactly their stated size; PTX loses its padding zeros.
Result<std::string> contents(const Image& image, size_t limitBytes = kMaxImageBytes);

bool isWrapper(const void* pointer);
bool isContainer(const void* pointer);

// What a wrapper in this process holds. Version 1: one module. Version 2, of separate compilation (nvcc
// -rdc=true): what nvlink made of the objects' machine code, and the objects themselves, which a driver links
// where that does not fit its device.
struct Wrapped {
  std::span<const std::byte> module;
  std::vector<std::span<const std::byte>> objects;
};
Result<Wrapped> unwrap(const void* wrapper);
// The container at `pointer` in this process, with the size that its header states.
Result<std::span<const std::byte>> containerAt(const void* pointer);

}  // namespace vgpu::fat_binary
