// Memory that outlives a call: device, pinned, registered and managed, and what a pointer is.
#include <array>

#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

// cuMemAllocPitch wants the largest element that kernels will read: 4, 8 or 16 bytes.
constexpr unsigned kPitchElementBytes = 4;

// Natively an allocation of nothing succeeds with a null pointer.
cudaError_t nothing(void** pointer) {
  *pointer = nullptr;
  return cudaSuccess;
}

cudaError_t allocateDevice(void** pointer, size_t size) {
  if (pointer == nullptr) return cudaErrorInvalidValue;
  if (size == 0) return nothing(pointer);
  return toRuntime(driver::cuMemAlloc_v2(reinterpret_cast<CUdeviceptr*>(pointer), size));
}

cudaError_t allocateHost(void** pointer, size_t size, unsigned flags) {
  if (pointer == nullptr) return cudaErrorInvalidValue;
  if (size == 0) return nothing(pointer);
  return toRuntime(driver::cuMemHostAlloc(pointer, size, flags));
}

cudaError_t allocatePitched(void** pointer, size_t* pitch, size_t width, size_t rows) {
  if (pointer == nullptr || pitch == nullptr) return cudaErrorInvalidValue;
  if (width == 0 || rows == 0) {
    *pitch = 0;
    return nothing(pointer);
  }
  return toRuntime(driver::cuMemAllocPitch_v2(reinterpret_cast<CUdeviceptr*>(pointer), pitch, width, rows,
                                              kPitchElementBytes));
}

cudaMemoryType typeOf(unsigned memoryType, bool managed) {
  if (managed) return cudaMemoryTypeManaged;
  switch (memoryType) {
    case CU_MEMORYTYPE_HOST:
      return cudaMemoryTypeHost;
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_ARRAY:
      return cudaMemoryTypeDevice;
    default:
      return cudaMemoryTypeUnregistered;
  }
}

cudaError_t describePointer(cudaPointerAttributes* attributes, const void* pointer) {
  if (attributes == nullptr) return cudaErrorInvalidValue;
  unsigned memoryType = 0;
  unsigned managed = 0;
  int device = cudaInvalidDeviceId;
  CUdeviceptr devicePointer = 0;
  void* hostPointer = nullptr;
  std::array which = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED,
                      CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
                      CU_POINTER_ATTRIBUTE_HOST_POINTER};
  std::array<void*, which.size()> values = {&memoryType, &managed, &device, &devicePointer,
                                            static_cast<void*>(&hostPointer)};
  CUresult result = driver::cuPointerGetAttributes(which.size(), which.data(), values.data(),
                                                   reinterpret_cast<CUdeviceptr>(pointer));
  if (result != CUDA_SUCCESS) return toRuntime(result);
  *attributes = {};
  attributes->type = typeOf(memoryType, managed != 0);
  bool known = attributes->type != cudaMemoryTypeUnregistered;
  attributes->device = known ? device : cudaInvalidDeviceId;
  attributes->devicePointer = known ? reinterpret_cast<void*>(devicePointer) : nullptr;
  attributes->hostPointer = known ? hostPointer : const_cast<void*>(pointer);
  return cudaSuccess;
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t size) {
  return onContext([&] { return allocateDevice(pointer, size); });
}

cudaError_t cudaFree(void* pointer) {
  return onContext([&] {
    if (pointer == nullptr) return CUDA_SUCCESS;
    return driver::cuMemFree_v2(reinterpret_cast<CUdeviceptr>(pointer));
  });
}

cudaError_t cudaMallocManaged(void** pointer, size_t size, unsigned int flags) {
  return onContext([&] {
    if (pointer == nullptr || size == 0) return CUDA_ERROR_INVALID_VALUE;
    return driver::cuMemAllocManaged(reinterpret_cast<CUdeviceptr*>(pointer), size, flags);
  });
}

cudaError_t cudaMallocHost(void** pointer, size_t size) {
  return onContext([&] { return allocateHost(pointer, size, 0); });
}

cudaError_t cudaHostAlloc(void** pointer, size_t size, unsigned int flags) {
  return onContext([&] { return allocateHost(pointer, size, flags); });
}

cudaError_t cudaFreeHost(void* pointer) {
  return onContext([&] { return pointer == nullptr ? CUDA_SUCCESS : driver::cuMemFreeHost(pointer); });
}

cudaError_t cudaHostRegister(void* pointer, size_t size, unsigned int flags) {
  return onContext([&] { return driver::cuMemHostRegister_v2(pointer, size, flags); });
}

cudaError_t cudaHostUnregister(void* pointer) {
  return onContext([&] { return driver::cuMemHostUnregister(pointer); });
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned int flags) {
  return onContext([&] {
    return driver::cuMemHostGetDevicePointer_v2(reinterpret_cast<CUdeviceptr*>(device), host, flags);
  });
}

cudaError_t cudaHostGetFlags(unsigned int* flags, void* host) {
  return onContext([&] { return driver::cuMemHostGetFlags(flags, host); });
}

cudaError_t cudaMallocPitch(void** pointer, size_t* pitch, size_t width, size_t height) {
  return onContext([&] { return allocatePitched(pointer, pitch, width, height); });
}

cudaError_t cudaMalloc3D(cudaPitchedPtr* pitched, cudaExtent extent) {
  return onContext([&] {
    if (pitched == nullptr) return cudaErrorInvalidValue;
    pitched->xsize = extent.width;
    pitched->ysize = extent.height;
    return allocatePitched(&pitched->ptr, &pitched->pitch, extent.width, extent.height * extent.depth);
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return onContext([&] { return driver::cuMemGetInfo_v2(free, total); });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return onContext([&] { return describePointer(attributes, pointer); });
}

cudaError_t cudaMemRangeGetAttribute(void* data, size_t dataSize, cudaMemRangeAttribute attribute,
                                     const void* pointer, size_t count) {
  return onContext([&] {
    return driver::cuMemRangeGetAttribute(data, dataSize, static_cast<CUmem_range_attribute>(attribute),
                                          reinterpret_cast<CUdeviceptr>(pointer), count);
  });
}

cudaError_t cudaMemRangeGetAttributes(void** data, size_t* dataSizes, cudaMemRangeAttribute* attributes,
                                      size_t attributeCount, const void* pointer, size_t count) {
  return onContext([&] {
    return driver::cuMemRangeGetAttributes(data, dataSizes,
                                           reinterpret_cast<CUmem_range_attribute*>(attributes),
                                           attributeCount, reinterpret_cast<CUdeviceptr>(pointer), count);
  });
}

}  // extern "C"
