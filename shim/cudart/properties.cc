#include "shim/cudart/properties.h"

#include <cstring>

#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

// An attribute that an older driver does not know reads as 0, as natively.
int attribute(CUdevice_attribute which, CUdevice device) {
  int value = 0;
  return driver::cuDeviceGetAttribute(&value, which, device) == CUDA_SUCCESS ? value : 0;
}

void fillAttributes(cudaDeviceProp& properties, CUdevice device) {
#define PROPERTY(member, suffix)                                              \
  properties.member = static_cast<std::decay_t<decltype(properties.member)>>( \
      attribute(CU_DEVICE_ATTRIBUTE_##suffix, device));
#if CUDART_VERSION < 13000
#define PROPERTY12(member, suffix) PROPERTY(member, suffix)
#define PROPERTY13(member, suffix)
#else
#define PROPERTY12(member, suffix)
#define PROPERTY13(member, suffix) PROPERTY(member, suffix)
#endif
#include "shim/cudart/properties.inc"
}

}  // namespace

cudaError_t fillProperties(cudaDeviceProp* properties, int ordinal) {
  if (properties == nullptr) return cudaErrorInvalidValue;
  CUdevice device = 0;
  if (cudaError_t error = deviceHandle(ordinal, &device); error != cudaSuccess) return error;
  std::memset(properties, 0, sizeof *properties);
  CUresult result = driver::cuDeviceGetName(properties->name, sizeof properties->name, device);
  if (result == CUDA_SUCCESS) result = driver::cuDeviceTotalMem_v2(&properties->totalGlobalMem, device);
  if (result != CUDA_SUCCESS) return toRuntime(result);
  CUuuid uuid{};
  if (driver::cuDeviceGetUuid_v2(&uuid, device) == CUDA_SUCCESS)
    std::memcpy(&properties->uuid, &uuid, sizeof uuid);
  fillAttributes(*properties, device);
  return cudaSuccess;
}

}  // namespace vgpu::cudart
