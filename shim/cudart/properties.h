// cudaDeviceProp of the ABI that this library has, filled from the driver's attributes. Any thread.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

// Sizes are part of the ABI: callers allocate the structure.
#if CUDART_VERSION < 13000
static_assert(sizeof(cudaDeviceProp) == 1032);
#else
static_assert(sizeof(cudaDeviceProp) == 1008);
#endif

cudaError_t fillProperties(cudaDeviceProp* properties, int ordinal);

}  // namespace vgpu::cudart
