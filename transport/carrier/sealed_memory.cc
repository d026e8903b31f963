#include "transport/carrier/sealed_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace vgpu::transport {

Result<UniqueFd> makeSealedMemory(const char* name, size_t sizeBytes) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return errnoError("make shared memory");
  if (::ftruncate(fd.get(), static_cast<off_t>(sizeBytes)) != 0) return errnoError("size shared memory");
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return errnoError("seal shared memory");
  return fd;
}

Status requireSealed(int fd, size_t sizeBytes) {
  constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return errnoError("look at a descriptor's seals");
  if ((seals & kNeeded) != kNeeded)
    return Error{"share a descriptor", "it is not sealed against shrinking and growing", 0};
  struct stat about{};
  if (::fstat(fd, &about) != 0) return errnoError("look at a descriptor's size");
  if (static_cast<size_t>(about.st_size) < sizeBytes)
    return Error{"share a descriptor", "it is shorter than announced", 0};
  return success();
}

Result<Mapping> mapSealed(int fd, void* address, size_t sizeBytes) {
  void* mapped =
      ::mmap(address, sizeBytes, PROT_READ | PROT_WRITE, MAP_SHARED | (address ? MAP_FIXED : 0), fd, 0);
  if (mapped == MAP_FAILED) return errnoError("map shared memory");
  return Mapping(mapped, sizeBytes);
}

void touchPages(std::byte* start, size_t lengthBytes) {
  const int before = errno;
  ::madvise(start, lengthBytes, MADV_POPULATE_WRITE);
  errno = before;
}

}  // namespace vgpu::transport
