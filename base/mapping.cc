#include "base/mapping.h"

#include "base/check.h"

namespace vgpu {

void Mapping::reset() {
  if (address_) CHECK(::munmap(address_, sizeBytes_) == 0);
  address_ = nullptr;
  sizeBytes_ = 0;
}

Result<Mapping> mapShared(int fd, size_t offset, size_t sizeBytes, int protection) {
  void* address = ::mmap(nullptr, sizeBytes, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED) return errnoError("map " + std::to_string(sizeBytes) + " shared bytes");
  return Mapping(address, sizeBytes);
}

Result<Mapping> reserveAt(uintptr_t address, size_t sizeBytes) {
  void* wanted = reinterpret_cast<void*>(address);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  void* got = ::mmap(wanted, sizeBytes, PROT_NONE, kFlags, -1, 0);
  if (got == MAP_FAILED) return errnoError("reserve " + std::to_string(sizeBytes) + " bytes of addresses");
  Mapping mapping(got, sizeBytes);
  // Kernels before 4.17 take MAP_FIXED_NOREPLACE for a hint.
  if (got != wanted) return Error{"reserve addresses", "the kernel placed the range elsewhere", 0};
  return mapping;
}

}  // namespace vgpu
