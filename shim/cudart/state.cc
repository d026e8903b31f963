#include "shim/cudart/state.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "shim/cudart/driver.h"

namespace vgpu::cudart {

constinit thread_local ThreadState thread{};

namespace {

enum class Phase { Cold, Ready, Unavailable, Forked, Unloading };

// The largest machine that CUDA knows has 16 devices; visible slices may be more.
constexpr int kMaxDevices = 64;

struct Primary {
  std::atomic<CUcontext> held;     // retained by the runtime, null before and after a reset
  std::atomic<CUcontext> retired;  // what a reset took down; threads may still have it current
};

// Constant-initialised and never destroyed: std::mutex has a trivial destructor in libstdc++.
struct Process {
  std::mutex mutex;
  std::atomic<Phase> phase{Phase::Cold};
  cudaError_t failure = cudaSuccess;
  std::array<Primary, kMaxDevices> primaries{};
  std::atomic<unsigned> epoch{0};
  std::array<int, kMaxDevices> validDevices{};
  std::atomic<int> validCount{0};
};

constinit Process process;

void inChild() {
  if (process.phase.load() == Phase::Ready) process.phase.store(Phase::Forked);
}

[[gnu::destructor]] void markUnloading() { process.phase.store(Phase::Unloading); }

// What a call is told that comes too early or too late for the driver.
cudaError_t answer(Phase phase) {
  switch (phase) {
    case Phase::Unavailable:
      return process.failure;
    case Phase::Forked:
      return cudaErrorInitializationError;
    case Phase::Unloading:
      return cudaErrorCudartUnloading;
    default:
      return cudaSuccess;
  }
}

cudaError_t startDriver() {
  // Before the lock: in a forked child a thread that no longer exists may hold it.
  if (Phase phase = process.phase.load(std::memory_order_acquire); phase != Phase::Cold) return answer(phase);
  std::lock_guard lock(process.mutex);
  if (Phase phase = process.phase.load(); phase != Phase::Cold) return answer(phase);
  cudaError_t error = driver::load();
  if (error == cudaSuccess) error = toRuntime(driver::cuInit(0));
  if (error == cudaSuccess) {
    pthread_atfork(nullptr, nullptr, inChild);
    // Registered after whatever the driver registered, so it runs before the driver is taken down.
    std::atexit(markUnloading);
    process.phase.store(Phase::Ready, std::memory_order_release);
  } else {
    process.failure = error;
    process.phase.store(Phase::Unavailable, std::memory_order_release);
  }
  return error;
}

// A context that a reset of its device took down is still current in threads that have not called since.
bool isRetired(CUcontext context) {
  if (process.epoch.load(std::memory_order_acquire) == 0) return false;
  return std::ranges::any_of(process.primaries, [context](const Primary& primary) {
    return primary.retired.load(std::memory_order_acquire) == context &&
           primary.held.load(std::memory_order_acquire) != context;
  });
}

int chosenDevice() {
  if (!thread.deviceChosen && process.validCount > 0) return process.validDevices[0];
  return thread.device;
}

cudaError_t bindPrimary(int ordinal) {
  CUcontext context = nullptr;
  if (cudaError_t error = primaryContext(ordinal, &context); error != cudaSuccess) return error;
  return toRuntime(driver::cuCtxSetCurrent(context));
}

}  // namespace

bool unloading() { return process.phase.load(std::memory_order_acquire) == Phase::Unloading; }

bool driverRuns() { return process.phase.load(std::memory_order_acquire) == Phase::Ready; }

unsigned contextEpoch() { return process.epoch.load(std::memory_order_acquire); }

cudaError_t ensureDriver() {
  if (process.phase.load(std::memory_order_acquire) == Phase::Ready) [[likely]] {
    return cudaSuccess;
  }
  return startDriver();
}

cudaError_t ensureContext() {
  if (cudaError_t error = ensureDriver(); error != cudaSuccess) return error;
  CUcontext current = nullptr;
  if (cudaError_t error = toRuntime(driver::cuCtxGetCurrent(&current)); error != cudaSuccess) return error;
  if (current != nullptr && !isRetired(current)) [[likely]] {
    return cudaSuccess;
  }
  return bindPrimary(chosenDevice());
}

cudaError_t currentDevice(int* ordinal) {
  CUcontext current = nullptr;
  CUdevice device = 0;
  if (driver::cuCtxGetCurrent(&current) == CUDA_SUCCESS && current != nullptr && !isRetired(current) &&
      driver::cuCtxGetDevice(&device) == CUDA_SUCCESS) {
    *ordinal = device;
  } else {
    *ordinal = chosenDevice();
  }
  return cudaSuccess;
}

cudaError_t deviceHandle(int ordinal, CUdevice* device) {
  if (ordinal < 0 || ordinal >= kMaxDevices) return cudaErrorInvalidDevice;
  CUresult result = driver::cuDeviceGet(device, ordinal);
  return result == CUDA_ERROR_INVALID_VALUE ? cudaErrorInvalidDevice : toRuntime(result);
}

cudaError_t primaryContext(int ordinal, CUcontext* context) {
  CUdevice device = 0;
  if (cudaError_t error = deviceHandle(ordinal, &device); error != cudaSuccess) return error;
  Primary& primary = process.primaries[static_cast<size_t>(ordinal)];
  *context = primary.held.load(std::memory_order_acquire);
  if (*context != nullptr) return cudaSuccess;
  std::lock_guard lock(process.mutex);
  *context = primary.held.load();
  if (*context != nullptr) return cudaSuccess;
  cudaError_t error = toRuntime(driver::cuDevicePrimaryCtxRetain(context, device));
  if (error == cudaSuccess) primary.held.store(*context, std::memory_order_release);
  return error;
}

cudaError_t selectDevice(int ordinal) {
  CUdevice device = 0;
  if (cudaError_t error = deviceHandle(ordinal, &device); error != cudaSuccess) return error;
  thread.device = ordinal;
  thread.deviceChosen = true;
  return bindPrimary(ordinal);
}

cudaError_t setValidDevices(const int* ordinals, int count) {
  if (count < 0 || count > kMaxDevices || (count > 0 && ordinals == nullptr)) return cudaErrorInvalidValue;
  for (int i = 0; i < count; ++i) {
    CUdevice device = 0;
    if (cudaError_t error = deviceHandle(ordinals[i], &device); error != cudaSuccess) return error;
  }
  std::lock_guard lock(process.mutex);
  std::copy_n(ordinals, count, process.validDevices.begin());
  process.validCount = count;
  return cudaSuccess;
}

cudaError_t resetDevice() {
  int ordinal = 0;
  if (cudaError_t error = currentDevice(&ordinal); error != cudaSuccess) return error;
  CUdevice device = 0;
  if (cudaError_t error = deviceHandle(ordinal, &device); error != cudaSuccess) return error;
  std::lock_guard lock(process.mutex);
  Primary& primary = process.primaries[static_cast<size_t>(ordinal)];
  CUcontext held = primary.held.load();
  if (held == nullptr) return cudaSuccess;
  primary.retired.store(held);
  primary.held.store(nullptr);
  process.epoch.fetch_add(1);
  CUresult reset = driver::cuDevicePrimaryCtxReset_v2(device);
  // The runtime's own reference goes too, or the next retain would count it twice.
  driver::cuDevicePrimaryCtxRelease_v2(device);
  driver::cuCtxSetCurrent(nullptr);
  forgetError();
  return toRuntime(reset);
}

}  // namespace vgpu::cudart
