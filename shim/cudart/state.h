// What the runtime knows of this process and of the calling thread: whether the driver is started, which
// device a thread chose, the primary contexts it holds. Nothing here is built by a constructor or taken down
// by a destructor, because programs call the runtime before main and after static destructors. Any thread.
#pragma once

#include <array>
#include <cstddef>

#include "shim/cudart/abi.h"
#include "shim/cudart/errors.h"

namespace vgpu::cudart {

struct CallConfiguration {
  dim3 grid;
  dim3 block;
  size_t sharedBytes;
  cudaStream_t stream;
};

// A launch's configuration is pushed before its arguments are evaluated, and these may launch in turn.
inline constexpr size_t kMaxNestedLaunches = 16;

struct CallConfigurations {
  alignas(CallConfiguration) std::byte storage[kMaxNestedLaunches * sizeof(CallConfiguration)];
  size_t count;
};

struct ThreadState {
  cudaError_t lastError;
  int device;         // the ordinal that cudaSetDevice chose
  bool deviceChosen;  // false: the first of the valid devices
  CallConfigurations launches;
};

extern constinit thread_local ThreadState thread;

// The driver is loaded and initialised. The first failure is the answer from then on, as natively. In a
// forked child of a process that had started the driver: cudaErrorInitializationError. After this library's
// end: cudaErrorCudartUnloading.
cudaError_t ensureDriver();

// Also a context is current: the caller's own if it made one, else the primary context of the thread's
// device.
cudaError_t ensureContext();

// True once the library's destructors have run.
bool unloading();

// True while the driver may be called: started, and neither at the process's end nor in a forked child.
bool driverRuns();

// The device that calls of this thread go to: of the current context, or else the one chosen.
cudaError_t currentDevice(int* ordinal);

// Makes `ordinal` the thread's device and its primary context current.
cudaError_t selectDevice(int ordinal);

// The ordinals that cudaSetValidDevices allows, in order; none: every device.
cudaError_t setValidDevices(const int* ordinals, int count);

// The driver's handle of a device; cudaErrorInvalidDevice for an ordinal that there is not.
cudaError_t deviceHandle(int ordinal, CUdevice* device);

// The primary context of a device, retained by the runtime on first use.
cudaError_t primaryContext(int ordinal, CUcontext* context);

// Takes down the current device's primary context; the next call makes it anew.
cudaError_t resetDevice();

// Counts resets: what was cached for a context is valid only within one epoch.
unsigned contextEpoch();

// Runs a call's body with the driver started, and keeps its error. The body answers CUresult or cudaError_t.
template <class Body>
cudaError_t onDriver(Body body) {
  cudaError_t error = ensureDriver();
  if (error == cudaSuccess) error = toRuntime(body());
  return record(error);
}

// The same about one device: the body takes its handle.
template <class Body>
cudaError_t onDevice(int ordinal, Body body) {
  return onDriver([&] {
    CUdevice device = 0;
    cudaError_t error = deviceHandle(ordinal, &device);
    return error != cudaSuccess ? error : toRuntime(body(device));
  });
}

// The same as onDriver with a context current.
template <class Body>
cudaError_t onContext(Body body) {
  cudaError_t error = ensureContext();
  if (error == cudaSuccess) error = toRuntime(body());
  return record(error);
}

}  // namespace vgpu::cudart
