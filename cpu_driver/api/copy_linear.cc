// One-dimensional copies. The synchronous forms use the default stream.
#include "cpu_driver/api/transfer.h"

using namespace vgpu::cpu;

namespace {

constexpr auto kWait = Waiting::Synchronous;
constexpr auto kGoOn = Waiting::Asynchronous;

uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

// cuMemcpy infers the kind from the addresses.
Place placeOf(CUdeviceptr pointer) {
  const auto allocation = driver().memory().addresses().find(pointer);
  return allocation && allocation->onDevice() ? Place::Device : Place::Host;
}

CUresult unified(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream, Waiting waiting) {
  if (!initialised()) return CUDA_ERROR_NOT_INITIALIZED;
  return transferLinear(stream, placeOf(to), to, placeOf(from), from, bytes, waiting);
}

CUresult peer(CUdeviceptr to, CUcontext toContext, CUdeviceptr from, CUcontext fromContext, size_t bytes,
              CUstream stream, Waiting waiting) {
  if (!initialised()) return CUDA_ERROR_NOT_INITIALIZED;
  if (!driver().findContext(toContext) || !driver().findContext(fromContext))
    return CUDA_ERROR_INVALID_CONTEXT;
  return transferLinear(stream, Place::Device, to, Place::Device, from, bytes, waiting);
}

}  // namespace

extern "C" {

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return unified(to, from, bytes, nullptr, kWait);
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return unified(to, from, bytes, stream, kGoOn);
}

CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext toContext, CUdeviceptr from, CUcontext fromContext,
                      size_t bytes) {
  return peer(to, toContext, from, fromContext, bytes, nullptr, kWait);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext toContext, CUdeviceptr from, CUcontext fromContext,
                           size_t bytes, CUstream stream) {
  return peer(to, toContext, from, fromContext, bytes, stream, kGoOn);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  return transferLinear(nullptr, Place::Device, to, Place::Host, address(from), bytes, kWait);
}

CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  return transferLinear(nullptr, Place::Host, address(to), Place::Device, from, bytes, kWait);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return transferLinear(nullptr, Place::Device, to, Place::Device, from, bytes, kWait);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return transferLinear(stream, Place::Device, to, Place::Host, address(from), bytes, kGoOn);
}

CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return transferLinear(stream, Place::Host, address(to), Place::Device, from, bytes, kGoOn);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return transferLinear(stream, Place::Device, to, Place::Device, from, bytes, kGoOn);
}

}  // extern "C"
