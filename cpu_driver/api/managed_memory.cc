// Managed memory: seen by host and kernels alike at all times, so advice and prefetches only are remembered.
#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

using vgpu::protocol::ManagedAdvice;

constexpr int kDevices = 1;

// The managed allocation that holds the whole range.
CUresult managed(CUdeviceptr address, size_t bytes, std::shared_ptr<Allocation>* allocation) {
  *allocation = driver().memory().addresses().find(address);
  if (!*allocation || (*allocation)->kind != MemoryKind::Managed || bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  return bytes <= (*allocation)->sizeBytes - (address - (*allocation)->base) ? CUDA_SUCCESS
                                                                             : CUDA_ERROR_INVALID_VALUE;
}

CUresult advise(CUdeviceptr address, size_t bytes, CUmem_advise what, CUmemLocation location) {
  return withContext([&](Context&) {
    std::shared_ptr<Allocation> allocation;
    if (const CUresult result = managed(address, bytes, &allocation); result != CUDA_SUCCESS) return result;
    return allocation->advice.advise(what, location, kDevices);
  });
}

CUresult prefetch(CUdeviceptr address, size_t bytes, CUmemLocation location, CUstream handle) {
  return withStream(handle, [&](Context&, Stream&) {
    std::shared_ptr<Allocation> allocation;
    if (const CUresult result = managed(address, bytes, &allocation); result != CUDA_SUCCESS) return result;
    return allocation->advice.prefetched(location, kDevices);
  });
}

}  // namespace

extern "C" {

CUresult cuMemAllocManaged(CUdeviceptr* address, size_t bytes, unsigned flags) {
  return withContextUncaptured([&](Context& context) {
    if (!address || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
      return CUDA_ERROR_INVALID_VALUE;
    return driver().memory().allocate(context, bytes, MemoryKind::Managed, flags, address);
  });
}

CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location) {
  return advise(address, bytes, advice, location);
}
CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device) {
  return advise(address, bytes, advice, ManagedAdvice::locationOf(device));
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned flags,
                               CUstream stream) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return prefetch(address, bytes, location, stream);
}
CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream) {
  return prefetch(address, bytes, ManagedAdvice::locationOf(device), stream);
}

CUresult cuMemRangeGetAttribute(void* data, size_t dataBytes, CUmem_range_attribute attribute,
                                CUdeviceptr address, size_t bytes) {
  return withDriver([&] {
    std::shared_ptr<Allocation> allocation;
    if (const CUresult result = managed(address, bytes, &allocation); result != CUDA_SUCCESS) return result;
    return allocation->advice.attribute(attribute, data, dataBytes);
  });
}

CUresult cuMemRangeGetAttributes(void** data, size_t* dataBytes, CUmem_range_attribute* attributes,
                                 size_t count, CUdeviceptr address, size_t bytes) {
  if (!data || !dataBytes || !attributes || count == 0) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    const CUresult result = cuMemRangeGetAttribute(data[i], dataBytes[i], attributes[i], address, bytes);
    if (result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

}  // extern "C"
