// What a refused launch is called by the runtime. Any thread.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

// The driver has one number, CUDA_ERROR_INVALID_VALUE, for what the runtime tells apart: dimensions that no
// launch could have are cudaErrorInvalidConfiguration. Asked only after a failure.
cudaError_t launchError(CUresult result, dim3 grid, dim3 block);

// Why the last kernel that could not be had could not: code of nvcc 13 asks for a handle once and goes on
// without it.
void keepKernelError(cudaError_t error);
cudaError_t kernelError();

}  // namespace vgpu::cudart
