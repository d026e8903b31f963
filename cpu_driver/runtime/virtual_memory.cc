#include "cpu_driver/runtime/virtual_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <vector>

namespace vgpu::cpu {
namespace {

bool wholePages(uint64_t value) { return value % kPageBytes == 0; }

constexpr int kReserveFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

void* mapReserved(uintptr_t wanted, size_t sizeBytes, int flags) {
  return ::mmap(reinterpret_cast<void*>(wanted), sizeBytes, PROT_NONE, kReserveFlags | flags, -1, 0);
}

// Addresses with an alignment beyond the page: reserve more, give the ends back.
void* mapAligned(size_t sizeBytes, size_t alignment) {
  void* whole = mapReserved(0, sizeBytes + alignment, 0);
  if (whole == MAP_FAILED) return whole;
  const auto begin = reinterpret_cast<uintptr_t>(whole);
  const uintptr_t aligned = (begin + alignment - 1) & ~(alignment - 1);
  if (aligned > begin) ::munmap(whole, aligned - begin);
  ::munmap(reinterpret_cast<void*>(aligned + sizeBytes), begin + alignment - aligned);
  return reinterpret_cast<void*>(aligned);
}

int protectionOf(CUmemAccess_flags flags) {
  if (flags == CU_MEM_ACCESS_FLAGS_PROT_READ) return PROT_READ;
  if (flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE) return PROT_READ | PROT_WRITE;
  return PROT_NONE;
}

}  // namespace

PhysicalMemory::~PhysicalMemory() {
  if (extent) memory.arena().releaseUnopened(*extent);
  if (sizeBytes != 0 && !imported) memory.refund(sizeBytes);
}

CUresult VirtualMemory::reserve(CUdeviceptr* address, size_t sizeBytes, size_t alignment, CUdeviceptr wanted,
                                uint64_t flags) {
  if (sizeBytes == 0 || !wholePages(sizeBytes) || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if ((alignment & (alignment - 1)) != 0 || !wholePages(wanted)) return CUDA_ERROR_INVALID_VALUE;
  void* got = MAP_FAILED;
  if (wanted) {
    got = mapReserved(wanted, sizeBytes, MAP_FIXED_NOREPLACE);
    if (got != MAP_FAILED && reinterpret_cast<uintptr_t>(got) != wanted) {
      ::munmap(got, sizeBytes);
      got = MAP_FAILED;
    }
  }
  // The address is a wish (cuMemAddressReserve: "hint"): another is given where it cannot be had.
  if (got == MAP_FAILED) {
    got = alignment > kPageBytes ? mapAligned(sizeBytes, alignment) : mapReserved(0, sizeBytes, 0);
  }
  if (got == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  *address = reinterpret_cast<uintptr_t>(got);
  std::lock_guard lock(mutex_);
  reservations_.emplace(*address, sizeBytes);
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::unreserve(CUdeviceptr address, size_t sizeBytes) {
  std::lock_guard lock(mutex_);
  const auto found = reservations_.find(address);
  if (found == reservations_.end() || found->second != sizeBytes) return CUDA_ERROR_INVALID_VALUE;
  if (memory_.addresses().firstIn(address, sizeBytes)) return CUDA_ERROR_INVALID_VALUE;
  ::munmap(reinterpret_cast<void*>(address), sizeBytes);
  reservations_.erase(found);
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::create(CUmemGenericAllocationHandle* handle, size_t sizeBytes,
                               const CUmemAllocationProp& properties) {
  if (sizeBytes == 0 || !wholePages(sizeBytes)) return CUDA_ERROR_INVALID_VALUE;
  if (properties.type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  if (properties.location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
  if (properties.location.id != 0) return CUDA_ERROR_INVALID_DEVICE;
  const int types = properties.requestedHandleTypes;
  if (types & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  if (!memory_.charge(sizeBytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  auto physical = std::make_shared<PhysicalMemory>(memory_);
  physical->sizeBytes = sizeBytes;  // from here on its end gives the charge back
  physical->properties = properties;
  if (types & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) {
    physical->fd.reset(::memfd_create("vgpu-memory", MFD_CLOEXEC));
    if (!physical->fd.valid()) return CUDA_ERROR_OUT_OF_MEMORY;
    if (::ftruncate(physical->fd.get(), static_cast<off_t>(sizeBytes)) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  } else {
    physical->extent = memory_.arena().allocate(sizeBytes, kPageBytes);
    if (!physical->extent) return CUDA_ERROR_OUT_OF_MEMORY;
  }
  PhysicalMemory& made = *physical;
  made.handle = handles_.insert(std::move(physical));
  *handle = made.handle;
  return *handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult VirtualMemory::release(CUmemGenericAllocationHandle handle) {
  const auto physical = handles_.share(handle);
  if (!physical) return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard lock(physical->mutex);
  if (physical->handleReferences == 0) return CUDA_ERROR_INVALID_VALUE;
  if (--physical->handleReferences == 0) handles_.remove(handle);
  return CUDA_SUCCESS;
}

bool VirtualMemory::insideReservation(uintptr_t address, size_t sizeBytes) {
  std::lock_guard lock(mutex_);
  auto next = reservations_.upper_bound(address);
  if (next == reservations_.begin()) return false;
  const auto& [base, bytes] = *std::prev(next);
  return address - base < bytes && sizeBytes <= bytes - (address - base);
}

CUresult VirtualMemory::map(CUdeviceptr address, size_t sizeBytes, size_t offset,
                            CUmemGenericAllocationHandle handle) {
  const auto physical = handles_.share(handle);
  if (!physical || sizeBytes == 0 || !wholePages(address) || !wholePages(sizeBytes))
    return CUDA_ERROR_INVALID_VALUE;
  if (!wholePages(offset) || offset > physical->sizeBytes || sizeBytes > physical->sizeBytes - offset) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (!insideReservation(address, sizeBytes)) return CUDA_ERROR_INVALID_VALUE;
  auto allocation = std::make_shared<Allocation>();
  allocation->base = address;
  allocation->sizeBytes = sizeBytes;
  allocation->kind = MemoryKind::Virtual;
  allocation->bufferId = memory_.nextBufferId();
  allocation->physical = physical;
  if (!memory_.addresses().insert(allocation)) return CUDA_ERROR_INVALID_VALUE;
  const int fd = physical->fd.valid() ? physical->fd.get() : memory_.arena().fd();
  const uint64_t begin = offset + (physical->extent ? physical->extent->offset : 0);
  void* got = ::mmap(reinterpret_cast<void*>(address), sizeBytes, PROT_NONE, MAP_SHARED | MAP_FIXED, fd,
                     static_cast<off_t>(begin));
  if (got != MAP_FAILED) return CUDA_SUCCESS;
  memory_.addresses().remove(address);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult VirtualMemory::unmap(CUdeviceptr address, size_t sizeBytes) {
  // Whole mappings only, one or several in a row.
  std::vector<std::shared_ptr<Allocation>> mapped;
  for (uintptr_t at = address; at < address + sizeBytes;) {
    auto allocation = memory_.addresses().find(at);
    if (!allocation || allocation->kind != MemoryKind::Virtual || allocation->base != at)
      return CUDA_ERROR_INVALID_VALUE;
    at += allocation->sizeBytes;
    if (at > address + sizeBytes) return CUDA_ERROR_INVALID_VALUE;
    mapped.push_back(std::move(allocation));
  }
  if (mapped.empty()) return CUDA_ERROR_INVALID_VALUE;
  if (mapReserved(address, sizeBytes, MAP_FIXED) == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  for (const auto& allocation : mapped) memory_.addresses().remove(allocation->base);
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::setAccess(CUdeviceptr address, size_t sizeBytes, const CUmemAccessDesc* descriptions,
                                  size_t count) {
  if (!descriptions || count == 0 || sizeBytes == 0) return CUDA_ERROR_INVALID_VALUE;
  std::optional<int> protection;
  for (size_t i = 0; i < count; ++i) {
    if (descriptions[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
    if (descriptions[i].location.id != 0) return CUDA_ERROR_INVALID_DEVICE;
    protection = protectionOf(descriptions[i].flags);
  }
  if (!memory_.addresses().covers(address, sizeBytes)) return CUDA_ERROR_INVALID_VALUE;
  for (uintptr_t at = address; at < address + sizeBytes;) {
    const auto allocation = memory_.addresses().find(at);
    if (!allocation || allocation->kind != MemoryKind::Virtual || allocation->base != at)
      return CUDA_ERROR_INVALID_VALUE;
    if (allocation->sizeBytes > address + sizeBytes - at) return CUDA_ERROR_INVALID_VALUE;
    if (::mprotect(reinterpret_cast<void*>(at), allocation->sizeBytes, *protection) != 0)
      return CUDA_ERROR_OUT_OF_MEMORY;
    allocation->protection.store(*protection);
    at += allocation->sizeBytes;
  }
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::access(uint64_t* flags, const CUmemLocation& location, CUdeviceptr address) {
  const auto allocation = memory_.addresses().find(address);
  if (!allocation || allocation->kind != MemoryKind::Virtual) return CUDA_ERROR_INVALID_VALUE;
  if (location.type != CU_MEM_LOCATION_TYPE_DEVICE || location.id != 0) return CUDA_ERROR_INVALID_VALUE;
  const int protection = allocation->protection.load();
  *flags = protection & PROT_WRITE  ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
           : protection & PROT_READ ? CU_MEM_ACCESS_FLAGS_PROT_READ
                                    : CU_MEM_ACCESS_FLAGS_PROT_NONE;
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::exportHandle(void* shareable, CUmemGenericAllocationHandle handle,
                                     CUmemAllocationHandleType type) {
  const auto physical = handles_.share(handle);
  if (!physical || !shareable) return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  if (!physical->fd.valid()) return CUDA_ERROR_INVALID_VALUE;
  const int fd = ::fcntl(physical->fd.get(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return CUDA_ERROR_OPERATING_SYSTEM;
  *static_cast<int*>(shareable) = fd;
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::importHandle(CUmemGenericAllocationHandle* handle, void* shareable,
                                     CUmemAllocationHandleType type) {
  if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(shareable));
  struct stat status;
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return CUDA_ERROR_INVALID_VALUE;
  if (status.st_size <= 0 || !wholePages(static_cast<uint64_t>(status.st_size)))
    return CUDA_ERROR_INVALID_VALUE;
  auto physical = std::make_shared<PhysicalMemory>(memory_);
  physical->imported = true;
  physical->fd.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!physical->fd.valid()) return CUDA_ERROR_OPERATING_SYSTEM;
  physical->sizeBytes = static_cast<size_t>(status.st_size);
  physical->properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  physical->properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  physical->properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  PhysicalMemory& made = *physical;
  made.handle = handles_.insert(std::move(physical));
  *handle = made.handle;
  return *handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult VirtualMemory::properties(CUmemAllocationProp* properties, CUmemGenericAllocationHandle handle) {
  const auto physical = handles_.share(handle);
  if (!physical) return CUDA_ERROR_INVALID_VALUE;
  *properties = physical->properties;
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::retain(CUmemGenericAllocationHandle* handle, void* address) {
  const auto allocation = memory_.addresses().find(reinterpret_cast<uintptr_t>(address));
  if (!allocation || !allocation->physical) return CUDA_ERROR_INVALID_VALUE;
  PhysicalMemory& physical = *allocation->physical;
  std::lock_guard lock(physical.mutex);
  if (physical.handleReferences == 0) physical.handle = handles_.insert(allocation->physical);
  ++physical.handleReferences;
  *handle = physical.handle;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::cpu
