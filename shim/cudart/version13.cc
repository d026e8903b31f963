// What only libcudart.so.13 has, or has in another form than 12.
#include "shim/cudart/driver.h"
#include "shim/cudart/placement.h"
#include "shim/cudart/properties.h"
#include "shim/cudart/registry.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

// Pools are of devices and pinned memory; the host's pools are not there.
cudaError_t onDevicePool(const cudaMemLocation* location, cudaMemAllocationType type, auto body) {
  if (location == nullptr) return onDriver([] { return cudaErrorInvalidValue; });
  bool ofDevice = location->type == cudaMemLocationTypeDevice && type == cudaMemAllocationTypePinned;
  if (!ofDevice) return onDriver([] { return cudaErrorNotSupported; });
  return onDevice(location->id, body);
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return onDriver([&] { return fillProperties(properties, device); });
}

cudaError_t cudaMemAdvise(const void* pointer, size_t count, cudaMemoryAdvise advice,
                          cudaMemLocation location) {
  return advise(pointer, count, advice, location);
}

cudaError_t cudaMemGetDefaultMemPool(cudaMemPool_t* pool, cudaMemLocation* location,
                                     cudaMemAllocationType type) {
  return onDevicePool(location, type,
                      [&](CUdevice device) { return driver::cuDeviceGetDefaultMemPool(pool, device); });
}

cudaError_t cudaMemGetMemPool(cudaMemPool_t* pool, cudaMemLocation* location, cudaMemAllocationType type) {
  return onDevicePool(location, type,
                      [&](CUdevice device) { return driver::cuDeviceGetMemPool(pool, device); });
}

cudaError_t cudaMemSetMemPool(cudaMemLocation* location, cudaMemAllocationType type, cudaMemPool_t pool) {
  return onDevicePool(location, type,
                      [&](CUdevice device) { return driver::cuDeviceSetMemPool(device, pool); });
}

}  // extern "C"

// Since 13.2. The driver's own count came with that version too, so the parameters are counted one by one.
VGPU_EXPORT cudaError_t cudaFuncGetParamCount(const void* function, size_t* count) {
  return onContext([&] {
    CUkernel kernel = nullptr;
    if (count == nullptr) return cudaErrorInvalidValue;
    if (cudaError_t error = registry.kernel(function, &kernel); error != cudaSuccess) return error;
    size_t offset = 0;
    size_t found = 0;
    CUresult result = CUDA_SUCCESS;
    while ((result = driver::cuKernelGetParamInfo(kernel, found, &offset, nullptr)) == CUDA_SUCCESS) ++found;
    if (result != CUDA_ERROR_INVALID_VALUE) return toRuntime(result);
    *count = found;
    return cudaSuccess;
  });
}
