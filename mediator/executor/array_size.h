// How much device memory an array's elements take: what is charged for it. Drivers pad, by their own rules.
// Pure; the descriptors are the guest's.
#pragma once

#include <cstdint>

#include "protocol/abi/cuda.h"

namespace vgpu::executor {

// Each: UINT64_MAX where it does not fit into 64 bits.
inline uint64_t product(uint64_t a, uint64_t b) {
  uint64_t bytes;
  return __builtin_mul_overflow(a, b, &bytes) ? UINT64_MAX : bytes;
}
uint64_t arrayBytes(const CUDA_ARRAY3D_DESCRIPTOR& array);
uint64_t mipmappedBytes(CUDA_ARRAY3D_DESCRIPTOR array, unsigned levels);

}  // namespace vgpu::executor
