// Copies between devices that have no per-thread variant.
#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

cudaError_t withContexts(int toDevice, int fromDevice, auto copy) {
  return onContext([&] {
    CUcontext to = nullptr;
    CUcontext from = nullptr;
    cudaError_t error = primaryContext(toDevice, &to);
    if (error == cudaSuccess) error = primaryContext(fromDevice, &from);
    return error != cudaSuccess ? error : toRuntime(copy(to, from));
  });
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" cudaError_t cudaMemcpyPeer(void* to, int toDevice, const void* from, int fromDevice,
                                      size_t count) {
  return withContexts(toDevice, fromDevice, [&](CUcontext toContext, CUcontext fromContext) {
    return driver::cuMemcpyPeer(reinterpret_cast<CUdeviceptr>(to), toContext,
                                reinterpret_cast<CUdeviceptr>(from), fromContext, count);
  });
}

extern "C" cudaError_t cudaMemcpyPeerAsync(void* to, int toDevice, const void* from, int fromDevice,
                                           size_t count, cudaStream_t stream) {
  return withContexts(toDevice, fromDevice, [&](CUcontext toContext, CUcontext fromContext) {
    return driver::cuMemcpyPeerAsync(reinterpret_cast<CUdeviceptr>(to), toContext,
                                     reinterpret_cast<CUdeviceptr>(from), fromContext, count, stream);
  });
}
