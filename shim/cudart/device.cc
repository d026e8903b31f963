// Devices: counting, choosing, describing, limits, peers, reset.
#include <algorithm>

#include "shim/cudart/driver.h"
#include "shim/cudart/properties.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

// How much of what the caller asked for a device has; more is nearer.
int matching(const cudaDeviceProp& wanted, const cudaDeviceProp& device) {
  int score = 0;
  score += wanted.major != 0 && device.major == wanted.major;
  score += wanted.major != 0 && device.major == wanted.major && device.minor == wanted.minor;
  score += wanted.totalGlobalMem != 0 && device.totalGlobalMem >= wanted.totalGlobalMem;
  score += wanted.multiProcessorCount != 0 && device.multiProcessorCount >= wanted.multiProcessorCount;
  score += wanted.sharedMemPerBlock != 0 && device.sharedMemPerBlock >= wanted.sharedMemPerBlock;
  return score;
}

}  // namespace
}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  if (count != nullptr) *count = 0;
  return onDriver([&] {
    if (count == nullptr) return cudaErrorInvalidValue;
    cudaError_t error = toRuntime(driver::cuDeviceGetCount(count));
    return error == cudaSuccess && *count == 0 ? cudaErrorNoDevice : error;
  });
}

cudaError_t cudaSetDevice(int device) {
  return onDriver([&] { return selectDevice(device); });
}

cudaError_t cudaInitDevice(int device, unsigned int deviceFlags, unsigned int flags) {
  return onDevice(device, [&](CUdevice handle) {
    cudaError_t error = cudaSuccess;
    constexpr unsigned kFlagsAreValid = cudaInitDeviceFlagsAreValid;
    if ((flags & ~kFlagsAreValid) != 0) return cudaErrorInvalidValue;
    if (flags == kFlagsAreValid) {
      error = toRuntime(driver::cuDevicePrimaryCtxSetFlags_v2(handle, deviceFlags));
    }
    CUcontext context = nullptr;
    return error == cudaSuccess ? primaryContext(device, &context) : error;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return onDriver([&] { return device == nullptr ? cudaErrorInvalidValue : currentDevice(device); });
}

cudaError_t cudaSetValidDevices(int* ordinals, int count) {
  return onDriver([&] { return setValidDevices(ordinals, count); });
}

cudaError_t cudaSetDeviceFlags(unsigned int flags) {
  return onDriver([&] {
    constexpr unsigned kKnown = cudaDeviceMask;
    int ordinal = 0;
    CUdevice device = 0;
    if ((flags & ~kKnown) != 0) return cudaErrorInvalidValue;
    currentDevice(&ordinal);
    if (cudaError_t error = deviceHandle(ordinal, &device); error != cudaSuccess) return error;
    return toRuntime(driver::cuDevicePrimaryCtxSetFlags_v2(device, flags & ~unsigned{cudaDeviceMapHost}));
  });
}

cudaError_t cudaGetDeviceFlags(unsigned int* flags) {
  return onDriver([&] {
    if (flags == nullptr) return cudaErrorInvalidValue;
    CUcontext context = nullptr;
    if (driver::cuCtxGetCurrent(&context) == CUDA_SUCCESS && context != nullptr) {
      cudaError_t error = toRuntime(driver::cuCtxGetFlags(flags));
      *flags |= cudaDeviceMapHost;
      return error;
    }
    int ordinal = 0;
    int active = 0;
    CUdevice device = 0;
    currentDevice(&ordinal);
    if (cudaError_t error = deviceHandle(ordinal, &device); error != cudaSuccess) return error;
    cudaError_t error = toRuntime(driver::cuDevicePrimaryCtxGetState(device, flags, &active));
    *flags |= cudaDeviceMapHost;
    return error;
  });
}

cudaError_t cudaDeviceReset() {
  return onDriver([] { return resetDevice(); });
}

cudaError_t cudaDeviceSynchronize() {
  return onContext([] { return driver::cuCtxSynchronize(); });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return onDevice(device, [&](CUdevice handle) {
    return driver::cuDeviceGetAttribute(value, static_cast<CUdevice_attribute>(attribute), handle);
  });
}

cudaError_t cudaChooseDevice(int* device, const cudaDeviceProp* wanted) {
  return onDriver([&] {
    if (device == nullptr || wanted == nullptr) return cudaErrorInvalidValue;
    int count = 0;
    int best = -1;
    if (cudaError_t error = toRuntime(driver::cuDeviceGetCount(&count)); error != cudaSuccess) return error;
    for (int ordinal = 0; ordinal < count; ++ordinal) {
      cudaDeviceProp found{};
      if (cudaError_t error = fillProperties(&found, ordinal); error != cudaSuccess) return error;
      if (int score = matching(*wanted, found); score > best) {
        best = score;
        *device = ordinal;
      }
    }
    return best < 0 ? cudaErrorNoDevice : cudaSuccess;
  });
}

cudaError_t cudaDeviceSetLimit(cudaLimit limit, size_t value) {
  return onContext([&] { return driver::cuCtxSetLimit(static_cast<CUlimit>(limit), value); });
}

cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit) {
  return onContext([&] { return driver::cuCtxGetLimit(value, static_cast<CUlimit>(limit)); });
}

cudaError_t cudaDeviceGetCacheConfig(cudaFuncCache* config) {
  return onContext([&] { return driver::cuCtxGetCacheConfig(reinterpret_cast<CUfunc_cache*>(config)); });
}

cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache config) {
  return onContext([&] { return driver::cuCtxSetCacheConfig(static_cast<CUfunc_cache>(config)); });
}

cudaError_t cudaDeviceGetSharedMemConfig(cudaSharedMemConfig* config) {
  return onContext(
      [&] { return driver::cuCtxGetSharedMemConfig(reinterpret_cast<CUsharedconfig*>(config)); });
}

cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig config) {
  return onContext([&] { return driver::cuCtxSetSharedMemConfig(static_cast<CUsharedconfig>(config)); });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return onContext([&] { return driver::cuCtxGetStreamPriorityRange(least, greatest); });
}

cudaError_t cudaCtxResetPersistingL2Cache() {
  return onContext([] { return driver::cuCtxResetPersistingL2Cache(); });
}

cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* id) {
  return onDriver([&] { return driver::cuDeviceGetByPCIBusId(device, id); });
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  return onDevice(device, [&](CUdevice handle) { return driver::cuDeviceGetPCIBusId(id, length, handle); });
}

cudaError_t cudaDeviceFlushGPUDirectRDMAWrites(cudaFlushGPUDirectRDMAWritesTarget target,
                                               cudaFlushGPUDirectRDMAWritesScope scope) {
  return onContext([&] {
    return driver::cuFlushGPUDirectRDMAWrites(static_cast<CUflushGPUDirectRDMAWritesTarget>(target),
                                              static_cast<CUflushGPUDirectRDMAWritesScope>(scope));
  });
}

cudaError_t cudaDeviceGetP2PAttribute(int* value, cudaDeviceP2PAttr attribute, int source, int destination) {
  return onDevice(source, [&](CUdevice from) {
    CUdevice to = 0;
    cudaError_t error = deviceHandle(destination, &to);
    if (error != cudaSuccess) return error;
    return toRuntime(
        driver::cuDeviceGetP2PAttribute(value, static_cast<CUdevice_P2PAttribute>(attribute), from, to));
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return onDevice(device, [&](CUdevice from) {
    CUdevice to = 0;
    cudaError_t error = deviceHandle(peer, &to);
    return error != cudaSuccess ? error : toRuntime(driver::cuDeviceCanAccessPeer(can, from, to));
  });
}

// Of a device that is no peer, and no device is its own: cudaErrorInvalidDevice, where the driver's call
// names the context instead.
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned int flags) {
  return onContext([&] {
    CUcontext context = nullptr;
    int current = 0, can = 0;
    cudaError_t status = cudaGetDevice(&current);
    if (status == cudaSuccess) status = cudaDeviceCanAccessPeer(&can, current, peer);
    if (status != cudaSuccess) return status;
    if (!can && flags == 0) return cudaErrorInvalidDevice;
    cudaError_t error = primaryContext(peer, &context);
    return error != cudaSuccess ? error : toRuntime(driver::cuCtxEnablePeerAccess(context, flags));
  });
}

cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return onContext([&] {
    CUcontext context = nullptr;
    cudaError_t error = primaryContext(peer, &context);
    return error != cudaSuccess ? error : toRuntime(driver::cuCtxDisablePeerAccess(context));
  });
}

}  // extern "C"
