#include "cpu_driver/runtime/arena.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/check.h"

namespace vgpu::cpu {
namespace {

// Addresses cost nothing; four times the largest memory configured leaves room for fragments. Halved where
// the process may not have as many (RLIMIT_AS).
constexpr size_t kArenaBytes = size_t{1} << 38;
constexpr size_t kLeastArenaBytes = size_t{1} << 32;

// A process may have 65530 mappings by default, and an allocation with a guard takes two. Beyond this many,
// neighbours share a mapping, and only use after free is still found.
constexpr size_t kMostGuarded = 20000;

}  // namespace

Result<std::unique_ptr<Arena>> Arena::create() {
  UniqueFd fd(::memfd_create("vgpu-device-memory", MFD_CLOEXEC));
  if (!fd.valid()) return errnoError("create the device's memory");
  for (size_t bytes = kArenaBytes; bytes >= kLeastArenaBytes; bytes /= 2) {
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) continue;
    void* address = ::mmap(nullptr, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd.get(), 0);
    if (address == MAP_FAILED) continue;
    ::madvise(address, bytes, MADV_DONTFORK);
    return std::unique_ptr<Arena>(new Arena(std::move(fd), Mapping(address, bytes)));
  }
  return errnoError("reserve addresses for the device's memory");
}

Arena::Arena(UniqueFd fd, Mapping mapping)
    : fd_(std::move(fd)), mapping_(std::move(mapping)), extents_(mapping_.sizeBytes()) {
  // The first page is never handed out: memory before the first allocation faults as well.
  CHECK(extents_.allocate(kPageBytes, kPageBytes) == 0u);
}

std::optional<Extent> Arena::allocate(size_t bytes, size_t alignment) {
  std::lock_guard lock(mutex_);
  Extent extent;
  extent.bytes = bytes;
  extent.guardBytes = live_ < kMostGuarded ? kPageBytes : 0;
  const auto offset = extents_.allocate(bytes + extent.guardBytes, alignment);
  if (!offset) return std::nullopt;
  extent.offset = *offset;
  ++live_;
  return extent;
}

bool Arena::open(const Extent& extent) {
  return ::mprotect(address(extent), extent.bytes, PROT_READ | PROT_WRITE) == 0;
}

void Arena::release(const Extent& extent) {
  CHECK(::mprotect(address(extent), extent.bytes, PROT_NONE) == 0);
  releaseUnopened(extent);
}

void Arena::releaseUnopened(const Extent& extent) {
  ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(extent.offset),
              static_cast<off_t>(extent.bytes));
  std::lock_guard lock(mutex_);
  extents_.release(extent.offset, extent.bytes + extent.guardBytes);
  --live_;
}

}  // namespace vgpu::cpu
