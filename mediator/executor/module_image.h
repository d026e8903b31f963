// A module image as a driver takes it. One load owns it: made on the dispatcher, read by the worker that
// loads. The bytes are the guest's: only headers and sizes of fat binaries are looked at, the driver judges
// the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vgpu::executor {

class ModuleImage {
 public:
  // A wrapper around fat binaries holds pointers, which would be the guest's: such an image is refused.
  static bool holdsPointers(std::span<const std::byte> image);

  ModuleImage() = default;
  // `bytes` end in `paddingBytes` that were not sent. Several fat binaries, one behind the other, are a
  // module of separate compilation: what was linked of the objects, then the objects.
  ModuleImage(std::vector<std::byte> bytes, size_t paddingBytes);
  ModuleImage(ModuleImage&&) = default;
  ModuleImage& operator=(ModuleImage&&) = default;

  const void* forDriver() const {
    return objects_.empty() ? static_cast<const void*>(bytes_.data()) : &wrapper_;
  }

 private:
  // fatbinary_section.h, __fatBinC_Wrapper_t. Points into heap memory, so that moving the image keeps it
  // right.
  struct Wrapper {
    uint32_t magic, version;
    const void* linked;
    const void* const* objects;
  };

  std::vector<std::byte> bytes_;
  std::vector<const void*> objects_;  // ended by null, unless there are none
  Wrapper wrapper_{};
};

}  // namespace vgpu::executor
