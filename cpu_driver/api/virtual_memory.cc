#include "cpu_driver/runtime/virtual_memory.h"

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

// Mappings are whole pages; larger pages are what a GPU would recommend, and cost nothing here.
constexpr size_t kRecommendedGranularity = size_t{2} << 20;

VirtualMemory& memory() { return driver().virtualMemory(); }

template <class Body>
CUresult uncaptured(Body&& body) {
  return withDriver([&]() -> CUresult {
    if (driver().captures().any()) {
      if (const CUresult refused = driver().captures().refuseUnsafe(); refused != CUDA_SUCCESS)
        return refused;
    }
    return body();
  });
}

}  // namespace

extern "C" {

CUresult cuMemAddressReserve(CUdeviceptr* address, size_t bytes, size_t alignment, CUdeviceptr wanted,
                             unsigned long long flags) {
  return uncaptured([&] {
    return address ? memory().reserve(address, bytes, alignment, wanted, flags) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
  return uncaptured([&] { return memory().unreserve(address, bytes); });
}

CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t bytes,
                     const CUmemAllocationProp* properties, unsigned long long flags) {
  return uncaptured([&] {
    if (!handle || !properties || flags != 0) return CUDA_ERROR_INVALID_VALUE;
    return memory().create(handle, bytes, *properties);
  });
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  return uncaptured([&] { return memory().release(handle); });
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
  return uncaptured(
      [&] { return flags == 0 ? memory().map(address, bytes, offset, handle) : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  return uncaptured([&] { return memory().unmap(address, bytes); });
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc* descriptions,
                        size_t count) {
  return uncaptured([&] { return memory().setAccess(address, bytes, descriptions, count); });
}

CUresult cuMemGetAccess(unsigned long long* flags, const CUmemLocation* location, CUdeviceptr address) {
  return withDriver([&] {
    if (!flags || !location) return CUDA_ERROR_INVALID_VALUE;
    uint64_t bits = 0;
    const CUresult result = memory().access(&bits, *location, address);
    if (result == CUDA_SUCCESS) *flags = bits;
    return result;
  });
}

CUresult cuMemExportToShareableHandle(void* shareable, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType type, unsigned long long flags) {
  return withDriver(
      [&] { return flags == 0 ? memory().exportHandle(shareable, handle, type) : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle* handle, void* shareable,
                                        CUmemAllocationHandleType type) {
  return withDriver(
      [&] { return handle ? memory().importHandle(handle, shareable, type) : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemGetAllocationGranularity(size_t* granularity, const CUmemAllocationProp* properties,
                                       CUmemAllocationGranularity_flags option) {
  return withDriver([&] {
    if (!granularity || !properties) return CUDA_ERROR_INVALID_VALUE;
    if (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM && option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    *granularity = option == CU_MEM_ALLOC_GRANULARITY_MINIMUM ? kPageBytes : kRecommendedGranularity;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp* properties,
                                                CUmemGenericAllocationHandle handle) {
  return withDriver(
      [&] { return properties ? memory().properties(properties, handle) : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* handle, void* address) {
  return withDriver([&] { return handle ? memory().retain(handle, address) : CUDA_ERROR_INVALID_VALUE; });
}

}  // extern "C"
