// Managed memory: seen by host and kernels alike at all times, so advice and prefetches only are remembered.
#include <cstring>

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

bool validLocation(const CUmemLocation& location) {
  return location.type == CU_MEM_LOCATION_TYPE_HOST ||
         (location.type == CU_MEM_LOCATION_TYPE_DEVICE && location.id == 0);
}

CUmemLocation locationOf(CUdevice device) {
  if (device == CU_DEVICE_CPU) return {CU_MEM_LOCATION_TYPE_HOST, 0};
  return {CU_MEM_LOCATION_TYPE_DEVICE, device};
}

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
    ManagedAdvice& advice = allocation->advice;
    const bool needsLocation = what == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ||
                               what == CU_MEM_ADVISE_SET_ACCESSED_BY ||
                               what == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
    if (needsLocation && !validLocation(location)) return CUDA_ERROR_INVALID_DEVICE;
    auto& accessedBy =
        location.type == CU_MEM_LOCATION_TYPE_HOST ? advice.accessedByHost : advice.accessedByDevice;
    switch (what) {
      case CU_MEM_ADVISE_SET_READ_MOSTLY:
        advice.readMostly = true;
        break;
      case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
        advice.readMostly = false;
        break;
      case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
        advice.preferredType = location.type;
        advice.preferredId = location.id;
        break;
      case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
        advice.preferredType = CU_MEM_LOCATION_TYPE_INVALID;
        break;
      case CU_MEM_ADVISE_SET_ACCESSED_BY:
        accessedBy = true;
        break;
      case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
        accessedBy = false;
        break;
      default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
  });
}

CUresult prefetch(CUdeviceptr address, size_t bytes, CUmemLocation location, CUstream handle) {
  return withStream(handle, [&](Context&, Stream&) {
    std::shared_ptr<Allocation> allocation;
    if (const CUresult result = managed(address, bytes, &allocation); result != CUDA_SUCCESS) return result;
    if (!validLocation(location)) return CUDA_ERROR_INVALID_DEVICE;
    allocation->advice.prefetchType = location.type;
    allocation->advice.prefetchId = location.id;
    return CUDA_SUCCESS;
  });
}

// Device number of a location, as the older attributes answer it.
int deviceOf(int type, int id) {
  if (type == CU_MEM_LOCATION_TYPE_HOST) return CU_DEVICE_CPU;
  return type == CU_MEM_LOCATION_TYPE_DEVICE ? id : CU_DEVICE_INVALID;
}

CUresult rangeAttribute(void* data, size_t dataBytes, CUmem_range_attribute attribute,
                        const ManagedAdvice& advice) {
  if (!data || dataBytes < sizeof(int) || dataBytes % sizeof(int) != 0) return CUDA_ERROR_INVALID_VALUE;
  auto* numbers = static_cast<int*>(data);
  switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
      numbers[0] = advice.readMostly ? 1 : 0;
      break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
      numbers[0] = deviceOf(advice.preferredType, advice.preferredId);
      break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
      numbers[0] = deviceOf(advice.prefetchType, advice.prefetchId);
      break;
    case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY: {
      const size_t count = dataBytes / sizeof(int);
      size_t used = 0;
      if (advice.accessedByDevice) numbers[used++] = 0;
      if (advice.accessedByHost && used < count) numbers[used++] = CU_DEVICE_CPU;
      for (; used < count; ++used) numbers[used] = CU_DEVICE_INVALID;
      break;
    }
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
      numbers[0] = advice.preferredType;
      break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
      numbers[0] = advice.preferredId;
      break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
      numbers[0] = advice.prefetchType;
      break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID:
      numbers[0] = advice.prefetchId;
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
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
  return advise(address, bytes, advice, locationOf(device));
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned flags,
                               CUstream stream) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return prefetch(address, bytes, location, stream);
}
CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream) {
  return prefetch(address, bytes, locationOf(device), stream);
}

CUresult cuMemRangeGetAttribute(void* data, size_t dataBytes, CUmem_range_attribute attribute,
                                CUdeviceptr address, size_t bytes) {
  return withDriver([&] {
    std::shared_ptr<Allocation> allocation;
    if (const CUresult result = managed(address, bytes, &allocation); result != CUDA_SUCCESS) return result;
    return rangeAttribute(data, dataBytes, attribute, allocation->advice);
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
