#include "shim/cudart/placement.h"

#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

CUmemLocation toDriver(cudaMemLocation location) {
  CUmemLocation out{};
  out.type = static_cast<CUmemLocationType>(location.type);
  out.id = location.id;
  return out;
}

}  // namespace

cudaError_t advise(const void* pointer, size_t count, cudaMemoryAdvise advice, cudaMemLocation location) {
  return onContext([&] {
    return driver::cuMemAdvise_v2(reinterpret_cast<CUdeviceptr>(pointer), count,
                                  static_cast<CUmem_advise>(advice), toDriver(location));
  });
}

cudaError_t prefetch(const void* pointer, size_t count, cudaMemLocation location, unsigned flags,
                     CUstream stream) {
  return onContext([&] {
    return driver::cuMemPrefetchAsync_v2(reinterpret_cast<CUdeviceptr>(pointer), count, toDriver(location),
                                         flags, stream);
  });
}

cudaMemLocation locationOf(int device) {
  cudaMemLocation location{};
  location.type = device == cudaCpuDeviceId ? cudaMemLocationTypeHost : cudaMemLocationTypeDevice;
  location.id = device == cudaCpuDeviceId ? 0 : device;
  return location;
}

}  // namespace vgpu::cudart
