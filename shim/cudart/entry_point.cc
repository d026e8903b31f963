// Versions, and the driver's functions by name.
#include "shim/cudart/entry_point.h"

#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {

cudaError_t driverEntryPoint(const char* symbol, void** function, int version, unsigned long long flags,
                             cudaDriverEntryPointQueryResult* status) {
  return onDriver([&] {
    if (symbol == nullptr || function == nullptr) return cudaErrorInvalidValue;
    CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    *function = nullptr;
    CUresult result = driver::cuGetProcAddress_v2(symbol, function, version, flags, &found);
    if (status != nullptr) *status = static_cast<cudaDriverEntryPointQueryResult>(found);
    // A name that is not there is an answer, not a failure, to those who ask for the status.
    if (result == CUDA_ERROR_NOT_FOUND) return status != nullptr ? cudaSuccess : cudaErrorSymbolNotFound;
    return toRuntime(result);
  });
}

}  // namespace vgpu::cudart

using namespace vgpu::cudart;  // NOLINT: this file is the C interface of that namespace

extern "C" cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return record(cudaErrorInvalidValue);
  *version = CUDART_VERSION;
  return cudaSuccess;
}

// Natively 0 and success where there is no driver.
extern "C" cudaError_t cudaDriverGetVersion(int* version) {
  if (version == nullptr) return record(cudaErrorInvalidValue);
  *version = 0;
  cudaError_t error = ensureDriver();
  if (error == cudaErrorCudartUnloading || error == cudaErrorInitializationError) return record(error);
  if (driver::cuDriverGetVersion.present()) error = toRuntime(driver::cuDriverGetVersion(version));
  return error == cudaErrorInsufficientDriver ? cudaSuccess : record(error);
}

// Profilers attach to the driver of the host; with none attached both calls do nothing, as natively.
VGPU_EXPORT cudaError_t cudaProfilerStart() { return cudaSuccess; }

VGPU_EXPORT cudaError_t cudaProfilerStop() { return cudaSuccess; }
