// Memory files that both processes map: made and sealed by the executor, so that a guest which truncates
// cannot make the executor fault. Either process, any thread. The contents are the peer's to change at any
// time.
#pragma once

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace vgpu::transport {

// Sealed against shrinking, growing and further seals; close-on-exec.
Result<UniqueFd> makeSealedMemory(const char* name, size_t sizeBytes);
// That `fd` is sealed so and has at least `sizeBytes`.
Status requireSealed(int fd, size_t sizeBytes);

// Readable and writable, shared; at `address` (replacing what is there) or anywhere for nullptr.
Result<Mapping> mapSealed(int fd, void* address, size_t sizeBytes);
// Makes the pages present. Kernels that cannot (before 5.14) leave it to the first access.
void touchPages(std::byte* start, size_t lengthBytes);

// Follows the handshake on the socket, with one descriptor: one region for GuestChannel::mapShared.
struct RegionAnnouncement {
  uint64_t magic;
  uint64_t regionId;
  uint64_t sizeBytes;
  uint64_t reserved;
};
constexpr uint64_t kRegionMagic = 0x4e47455255504756;

}  // namespace vgpu::transport
