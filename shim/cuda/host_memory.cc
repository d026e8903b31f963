// Page-locked, registered and managed memory. Pinned and managed memory lie in the session's range; where the
// carrier shares memory both sides map the same pages, otherwise each has its own and coherence.cc keeps them
// equal.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/device.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/refuse.h"

namespace vgpu::shim {
namespace {

constexpr unsigned kHostAllocFlags =
    CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
constexpr unsigned kRegisterFlags =
    CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY;
constexpr unsigned kAttachFlags = CU_MEM_ATTACH_GLOBAL | CU_MEM_ATTACH_HOST | CU_MEM_ATTACH_SINGLE;

uint32_t nextRegion() {
  static std::atomic<uint32_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

uint64_t pageRound(uint64_t sizeBytes) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return (sizeBytes + page - 1) & ~(page - 1);
}

// Gives the guest's side of the range its memory: the shared region, or memory of its own.
CUresult mapHere(Session& session, uint64_t address, uint64_t sizeBytes, uint32_t region) {
  auto* place = reinterpret_cast<void*>(address);
  if (session.channel().sharesMemory()) {
    auto mapping = session.channel().mapShared(region, place, pageRound(sizeBytes));
    if (!mapping) return CUDA_ERROR_OUT_OF_MEMORY;
    mapping->release();  // unmapHere puts the reservation back over it
    return CUDA_SUCCESS;
  }
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  return ::mmap(place, pageRound(sizeBytes), PROT_READ | PROT_WRITE, kFlags, -1, 0) == place
             ? CUDA_SUCCESS
             : CUDA_ERROR_OUT_OF_MEMORY;
}

void unmapHere(uint64_t address, uint64_t sizeBytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  auto* place = reinterpret_cast<void*>(address);
  CHECK(::mmap(place, pageRound(sizeBytes), PROT_NONE, kFlags, -1, 0) == place);
}

template <uint16_t number>
CUresult allocateHostVisible(const Submission& submission, MemoryKind kind, uint64_t sizeBytes,
                             unsigned flags, uint64_t& address) {
  Session& session = *submission.session;
  const auto place = session.addresses().allocate(sizeBytes);
  if (!place) return CUDA_ERROR_OUT_OF_MEMORY;
  const uint32_t region = nextRegion();
  CUresult status = callMessage<number>(submission, {*place, pageRound(sizeBytes), flags, region});
  if (status == CUDA_SUCCESS) status = mapHere(session, *place, sizeBytes, region);
  if (status != CUDA_SUCCESS) {
    session.addresses().free(*place, sizeBytes);
    return status;
  }
  Allocation allocation{.address = *place,
                        .sizeBytes = sizeBytes,
                        .kind = kind,
                        .flags = flags,
                        .device = submission.context->device,
                        .context = submission.context,
                        .host = *place,
                        .shared = session.channel().sharesMemory()};
  if (!allocation.shared) allocation.coherence = makeCoherence(allocation);
  session.allocations().insert(allocation);
  address = *place;
  return CUDA_SUCCESS;
}

CUresult hostAlloc(void** out, size_t sizeBytes, unsigned flags) {
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  if (!out || sizeBytes == 0 || flags & ~kHostAllocFlags) return CUDA_ERROR_INVALID_VALUE;
  uint64_t address;
  const CUresult status = allocateHostVisible<protocol::call::HostAlloc>(submission, MemoryKind::Pinned,
                                                                         sizeBytes, flags, address);
  if (status == CUDA_SUCCESS) *out = reinterpret_cast<void*>(address);
  return status;
}

bool overlapsRegistered(Session& session, uint64_t start, uint64_t end) {
  bool overlaps = false;
  session.allocations().forEach([&](const Allocation& allocation) {
    overlaps |=
        allocation.hostVisible() && allocation.host < end && start < allocation.host + allocation.sizeBytes;
  });
  return overlaps;
}

}  // namespace

CUresult freeHostVisible(const Submission& submission, const Allocation& allocation) {
  const CUresult status = allocation.kind == MemoryKind::Managed
                              ? callMessage<protocol::call::UnmapDevice>(submission, {allocation.address})
                              : callMessage<protocol::call::HostFree>(submission, {allocation.address});
  if (status != CUDA_SUCCESS) return status;
  dropCoherence(allocation);
  submission.session->allocations().remove(allocation.address);
  unmapHere(allocation.address, allocation.sizeBytes);
  submission.session->addresses().free(allocation.address, allocation.sizeBytes);
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;
using vgpu::protocol::ManagedAdvice;

VGPU_EXPORT CUresult cuMemAllocHost_v2(void** out, size_t sizeBytes) {
  return hostAlloc(out, sizeBytes, CU_MEMHOSTALLOC_DEVICEMAP);
}
VGPU_EXPORT CUresult cuMemHostAlloc(void** out, size_t sizeBytes, unsigned flags) {
  return hostAlloc(out, sizeBytes, flags);
}

VGPU_EXPORT CUresult cuMemFreeHost(void* pointer) {
  if (!pointer) return CUDA_SUCCESS;
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  const auto allocation = submission.session->allocations().find(reinterpret_cast<uint64_t>(pointer));
  if (!allocation || allocation->kind != MemoryKind::Pinned ||
      allocation->host != reinterpret_cast<uint64_t>(pointer)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return freeHostVisible(submission, *allocation);
}

VGPU_EXPORT CUresult cuMemAllocManaged(CUdeviceptr* out, size_t sizeBytes, unsigned flags) {
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  const bool oneAttachment = flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST;
  if (!out || sizeBytes == 0 || !oneAttachment) return CUDA_ERROR_INVALID_VALUE;
  uint64_t address;
  const CUresult status = allocateHostVisible<call_number::ManagedAlloc>(
      submission, MemoryKind::Managed, sizeBytes, flags & kAttachFlags, address);
  if (status == CUDA_SUCCESS) *out = address;
  return status;
}

VGPU_EXPORT CUresult cuMemHostRegister_v2(void* pointer, size_t sizeBytes, unsigned flags) {
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
    return refuse("cuMemHostRegister_v2 with CU_MEMHOSTREGISTER_IOMEMORY", "memory of other devices");
  if (!pointer || sizeBytes == 0 || flags & ~kRegisterFlags) return CUDA_ERROR_INVALID_VALUE;
  Session& session = *submission.session;
  const auto host = reinterpret_cast<uint64_t>(pointer);
  if (overlapsRegistered(session, host, host + sizeBytes)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  const auto shadow = session.addresses().allocate(sizeBytes);
  if (!shadow) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult status =
      callMessage<call_number::HostRegister>(submission, {*shadow, pageRound(sizeBytes), host, flags, 0});
  if (status != CUDA_SUCCESS) {
    session.addresses().free(*shadow, sizeBytes);
    return status;
  }
  Allocation allocation{.address = *shadow,
                        .sizeBytes = sizeBytes,
                        .kind = MemoryKind::Registered,
                        .flags = flags,
                        .device = submission.context->device,
                        .context = submission.context,
                        .host = host};
  allocation.coherence = makeCoherence(allocation);
  session.allocations().insert(allocation);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemHostUnregister(void* pointer) {
  Submission submission;
  if (const CUresult status = enterAllocating(submission); status != CUDA_SUCCESS) return status;
  if (!pointer) return CUDA_ERROR_INVALID_VALUE;
  const auto allocation = submission.session->allocations().find(reinterpret_cast<uint64_t>(pointer));
  if (!allocation || allocation->kind != MemoryKind::Registered ||
      allocation->host != reinterpret_cast<uint64_t>(pointer)) {
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  }
  // What kernels wrote must be in the program's memory before the shadow goes.
  if (const CUresult status = waitForContext(submission); status != CUDA_SUCCESS) return status;
  const CUresult status = callMessage<call_number::HostUnregister>(submission, {allocation->address});
  if (status != CUDA_SUCCESS) return status;
  dropCoherence(*allocation);
  submission.session->allocations().remove(allocation->address);
  submission.session->addresses().free(allocation->address, allocation->sizeBytes);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* out, void* pointer, unsigned flags) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!out || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const auto address = reinterpret_cast<uint64_t>(pointer);
  const auto allocation = submission.session->allocations().find(address);
  const bool pageLocked =
      allocation && (allocation->kind == MemoryKind::Pinned || allocation->kind == MemoryKind::Registered);
  if (!pageLocked) return CUDA_ERROR_INVALID_VALUE;
  *out = deviceSide(*allocation, address);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuMemHostGetFlags(unsigned* flags, void* pointer) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  const auto allocation = submission.session->allocations().find(reinterpret_cast<uint64_t>(pointer));
  if (!flags || !allocation || allocation->kind != MemoryKind::Pinned) return CUDA_ERROR_INVALID_VALUE;
  *flags = allocation->flags | CU_MEMHOSTALLOC_DEVICEMAP;  // with unified addresses all of it is mapped
  return CUDA_SUCCESS;
}

// Attachment is a hint on who touches the memory next; with one copy of it, or coherence at every launch, all
// may.
static CUresult attach(CUstream value, CUdeviceptr address, size_t, unsigned flags, bool perThread) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!resolveStream(submission, value, perThread)) return CUDA_ERROR_INVALID_HANDLE;
  const auto allocation = submission.session->allocations().find(address);
  const bool managed = allocation && allocation->kind == MemoryKind::Managed;
  const bool known =
      flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST || flags == CU_MEM_ATTACH_SINGLE;
  return managed && known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
VGPU_EXPORT CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr address, size_t length,
                                            unsigned flags) {
  return attach(stream, address, length, flags, false);
}
VGPU_EXPORT CUresult cuStreamAttachMemAsync_ptsz(CUstream stream, CUdeviceptr address, size_t length,
                                                 unsigned flags) {
  return attach(stream, address, length, flags, true);
}

// The advice of the managed allocation that holds the whole range.
static CUresult findAdvice(const Submission& submission, CUdeviceptr address, size_t count,
                           std::shared_ptr<ManagedAdvice>& advice) {
  const auto allocation = submission.session->allocations().find(address);
  if (count == 0 || !allocation || !allocation->advice ||
      !submission.session->allocations().covers(address, count))
    return CUDA_ERROR_INVALID_VALUE;
  advice = allocation->advice;
  return CUDA_SUCCESS;
}
static int deviceCount(const Submission& submission) {
  return static_cast<int>(submission.session->devices().size());
}
VGPU_EXPORT CUresult cuMemAdvise_v2(CUdeviceptr address, size_t count, CUmem_advise what,
                                    CUmemLocation location) {
  Submission submission;
  std::shared_ptr<ManagedAdvice> advice;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (const CUresult status = findAdvice(submission, address, count, advice); status != CUDA_SUCCESS)
    return status;
  return advice->advise(what, location, deviceCount(submission));
}
VGPU_EXPORT CUresult cuMemAdvise(CUdeviceptr address, size_t count, CUmem_advise advice, CUdevice device) {
  return cuMemAdvise_v2(address, count, advice, ManagedAdvice::locationOf(device));
}
// Prefetching moves nothing that a program can see: there is one copy, or it is made equal at the next launch
// or wait.
static CUresult prefetch(CUdeviceptr address, size_t count, CUmemLocation location, unsigned flags,
                         CUstream value, bool perThread) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  Submission submission;
  std::shared_ptr<ManagedAdvice> advice;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (const CUresult status = findAdvice(submission, address, count, advice); status != CUDA_SUCCESS)
    return status;
  if (!resolveStream(submission, value, perThread)) return CUDA_ERROR_INVALID_HANDLE;
  return advice->prefetched(location, deviceCount(submission));
}
VGPU_EXPORT CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t count, CUdevice device, CUstream stream) {
  return prefetch(address, count, ManagedAdvice::locationOf(device), 0, stream, false);
}
VGPU_EXPORT CUresult cuMemPrefetchAsync_ptsz(CUdeviceptr address, size_t count, CUdevice device,
                                             CUstream stream) {
  return prefetch(address, count, ManagedAdvice::locationOf(device), 0, stream, true);
}
VGPU_EXPORT CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t count, CUmemLocation location,
                                           unsigned flags, CUstream stream) {
  return prefetch(address, count, location, flags, stream, false);
}
VGPU_EXPORT CUresult cuMemPrefetchAsync_v2_ptsz(CUdeviceptr address, size_t count, CUmemLocation location,
                                                unsigned flags, CUstream stream) {
  return prefetch(address, count, location, flags, stream, true);
}
