// What only libcudart.so.12 has, or has in another form than 13.
#include <cstring>

#include "shim/cudart/driver.h"
#include "shim/cudart/placement.h"
#include "shim/cudart/properties.h"
#include "shim/cudart/state.h"

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaGetDeviceProperties_v2(cudaDeviceProp* properties, int device) {
  return onDriver([&] { return fillProperties(properties, device); });
}

cudaError_t cudaEventElapsedTime_v2(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return onContext([&] { return driver::cuEventElapsedTime_v2(milliseconds, start, end); });
}

cudaError_t cudaMemAdvise(const void* pointer, size_t count, cudaMemoryAdvise advice, int device) {
  return advise(pointer, count, advice, locationOf(device));
}

cudaError_t cudaMemAdvise_v2(const void* pointer, size_t count, cudaMemoryAdvise advice,
                             cudaMemLocation location) {
  return advise(pointer, count, advice, location);
}

// Devices of compute capability 1.3 and later compute in double precision: there has been nothing to convert
// since.
cudaError_t cudaSetDoubleForDevice(double*) { return cudaSuccess; }

cudaError_t cudaSetDoubleForHost(double*) { return cudaSuccess; }

// The names that these calls had before CUDA 4.
cudaError_t cudaThreadExit() { return cudaDeviceReset(); }

cudaError_t cudaThreadSynchronize() { return cudaDeviceSynchronize(); }

cudaError_t cudaThreadSetLimit(cudaLimit limit, size_t value) { return cudaDeviceSetLimit(limit, value); }

cudaError_t cudaThreadGetLimit(size_t* value, cudaLimit limit) { return cudaDeviceGetLimit(value, limit); }

cudaError_t cudaThreadGetCacheConfig(cudaFuncCache* config) { return cudaDeviceGetCacheConfig(config); }

cudaError_t cudaThreadSetCacheConfig(cudaFuncCache config) { return cudaDeviceSetCacheConfig(config); }

}  // extern "C"

// CUDA 11's structure is the beginning of CUDA 12's, up to the members that 12 added.
VGPU_EXPORT cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return onDriver([&] {
    if (properties == nullptr) return cudaErrorInvalidValue;
    cudaDeviceProp whole{};
    cudaError_t error = fillProperties(&whole, device);
    if (error == cudaSuccess)
      std::memcpy(properties, &whole, offsetof(cudaDeviceProp, hostRegisterSupported));
    return error;
  });
}
