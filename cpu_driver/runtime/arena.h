// The memory of the device: one sparse memfd, mapped once as a whole without access. Allocating opens a part
// of it, freeing punches the part out and closes it again, so use after free faults and freed memory comes
// back zeroed. A page without access lies after each allocation. Any thread. The bytes belong to the
// program's kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cpu_driver/runtime/extent_allocator.h"

namespace vgpu::cpu {

inline constexpr size_t kPageBytes = 4096;
constexpr size_t roundUpToPage(size_t bytes) { return (bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

// A part of the arena's file; `bytes` without the guard after it.
struct Extent {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t guardBytes = 0;
};

class Arena {
 public:
  static Result<std::unique_ptr<Arena>> create();

  // Reserves addresses and file space; `bytes` must be whole pages. The memory stays closed until open().
  std::optional<Extent> allocate(size_t bytes, size_t alignment);
  // Makes the extent accessible at its own address. False: the kernel refuses more mappings.
  bool open(const Extent& extent);
  // Gives the memory back; afterwards an access faults.
  void release(const Extent& extent);
  // The same for an extent that was never opened, because it is mapped elsewhere.
  void releaseUnopened(const Extent& extent);

  std::byte* address(const Extent& extent) const { return mapping_.data() + extent.offset; }
  int fd() const { return fd_.get(); }

 private:
  Arena(UniqueFd fd, Mapping mapping);

  UniqueFd fd_;
  Mapping mapping_;
  std::mutex mutex_;
  ExtentAllocator extents_;
  size_t live_ = 0;
};

}  // namespace vgpu::cpu
