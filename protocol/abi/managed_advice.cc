#include "protocol/abi/managed_advice.h"

namespace vgpu::protocol {
namespace {

constexpr CUmemLocation kNowhere{CU_MEM_LOCATION_TYPE_INVALID, 0};

bool isPlace(const CUmemLocation& location, int deviceCount) {
  return location.type == CU_MEM_LOCATION_TYPE_HOST ||
         (location.type == CU_MEM_LOCATION_TYPE_DEVICE && location.id >= 0 && location.id < deviceCount);
}

bool isHost(const CUmemLocation& location) { return location.type == CU_MEM_LOCATION_TYPE_HOST; }

int deviceOf(const CUmemLocation& location) {
  if (isHost(location)) return CU_DEVICE_CPU;
  return location.type == CU_MEM_LOCATION_TYPE_DEVICE ? location.id : CU_DEVICE_INVALID;
}

}  // namespace

CUmemLocation ManagedAdvice::locationOf(CUdevice device) {
  if (device == CU_DEVICE_CPU) return {CU_MEM_LOCATION_TYPE_HOST, 0};
  return {CU_MEM_LOCATION_TYPE_DEVICE, device};
}

CUresult ManagedAdvice::advise(CUmem_advise what, CUmemLocation location, int deviceCount) {
  const bool namesPlace = what == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ||
                          what == CU_MEM_ADVISE_SET_ACCESSED_BY || what == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
  if (namesPlace && !isPlace(location, deviceCount)) return CUDA_ERROR_INVALID_DEVICE;
  auto& accessedBy = isHost(location) ? accessedByHost_ : accessedByDevice_;
  switch (what) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
      readMostly_ = what == CU_MEM_ADVISE_SET_READ_MOSTLY;
      return CUDA_SUCCESS;
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
      preferred_ = what == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ? location : kNowhere;
      return CUDA_SUCCESS;
    case CU_MEM_ADVISE_SET_ACCESSED_BY:
    case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
      accessedBy = what == CU_MEM_ADVISE_SET_ACCESSED_BY;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult ManagedAdvice::prefetched(CUmemLocation location, int deviceCount) {
  if (!isPlace(location, deviceCount)) return CUDA_ERROR_INVALID_DEVICE;
  prefetched_ = location;
  return CUDA_SUCCESS;
}

void ManagedAdvice::fillAccessedBy(int* numbers, size_t count) const {
  size_t used = 0;
  if (accessedByDevice_) numbers[used++] = 0;
  if (accessedByHost_ && used < count) numbers[used++] = CU_DEVICE_CPU;
  for (; used < count; ++used) numbers[used] = CU_DEVICE_INVALID;
}

CUresult ManagedAdvice::attribute(CUmem_range_attribute attribute, void* data, size_t dataBytes) const {
  if (!data || dataBytes < sizeof(int) || dataBytes % sizeof(int) != 0) return CUDA_ERROR_INVALID_VALUE;
  auto* numbers = static_cast<int*>(data);
  switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
      numbers[0] = readMostly_ ? 1 : 0;
      return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
      numbers[0] = deviceOf(preferred_);
      return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
      numbers[0] = deviceOf(prefetched_);
      return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY:
      fillAccessedBy(numbers, dataBytes / sizeof(int));
      return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
      numbers[0] = preferred_.load().type;
      return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
      numbers[0] = preferred_.load().id;
      return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
      numbers[0] = prefetched_.load().type;
      return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID:
      numbers[0] = prefetched_.load().id;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace vgpu::protocol
