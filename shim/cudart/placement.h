// Advice about and movement of managed memory. Any thread.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

cudaError_t advise(const void* pointer, size_t count, cudaMemoryAdvise advice, cudaMemLocation location);
cudaError_t prefetch(const void* pointer, size_t count, cudaMemLocation location, unsigned flags,
                     CUstream stream);

// The location that CUDA 12's device argument means: an ordinal or cudaCpuDeviceId.
cudaMemLocation locationOf(int device);

}  // namespace vgpu::cudart
