// CUDA's errors: from the driver's numbers to the runtime's, and the last error that each thread keeps. Any
// thread. Rules (CUDA Runtime API, "Error Handling"): a failing call leaves its error with the thread that
// made it; cudaGetLastError takes it away, cudaPeekAtLastError does not; cudaErrorNotReady is no error and is
// not kept; an error that corrupts the context stays until the device is reset.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

// The runtime's error of that driver result; cudaErrorUnknown for one that the runtime has no name for.
cudaError_t toRuntime(CUresult result);
constexpr cudaError_t toRuntime(cudaError_t error) { return error; }

// Keeps a failure as the thread's last error.
void keepError(cudaError_t error);

// Keeps `error` if it is one, and hands it on: the last thing that a call does.
inline cudaError_t record(cudaError_t error) {
  if (error != cudaSuccess) [[unlikely]] {
    keepError(error);
  }
  return error;
}

cudaError_t peekError();
cudaError_t takeError();
void forgetError();  // the device was reset: also what stays

}  // namespace vgpu::cudart
