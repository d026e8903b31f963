// Copies of two and three dimensions, all made as one CUDA_MEMCPY3D. A side is linear memory or an array. Any
// thread.
#pragma once

#include "shim/cudart/abi.h"

namespace vgpu::cudart {

struct Side {
  CUmemorytype type = CU_MEMORYTYPE_UNIFIED;
  const void* pointer = nullptr;
  CUarray array = nullptr;
  size_t x = 0;  // bytes for linear memory, elements for an array
  size_t y = 0;
  size_t z = 0;
  size_t pitch = 0;
  size_t rows = 0;  // rows between two slices of linear memory

  static Side linear(CUmemorytype type, const void* pointer, size_t pitch) {
    return {.type = type, .pointer = pointer, .pitch = pitch};
  }
  static Side of(cudaArray_const_t array, size_t x, size_t y, size_t z = 0) {
    return {.type = CU_MEMORYTYPE_ARRAY,
            .array = reinterpret_cast<CUarray>(const_cast<cudaArray*>(array)),
            .x = x,
            .y = y,
            .z = z};
  }
};

// The memory that a direction says lies on each side; cudaErrorInvalidMemcpyDirection for an unknown
// direction.
cudaError_t directions(cudaMemcpyKind kind, CUmemorytype* to, CUmemorytype* from);

// Bytes of an array's element, 1 for no array.
cudaError_t elementBytesOf(CUarray array, size_t* bytes);

// Width in bytes.
CUDA_MEMCPY3D boxCopy(const Side& to, const Side& from, size_t widthBytes, size_t height, size_t depth);

// The driver's form of cudaMemcpy3D's parameters.
cudaError_t boxCopy(const cudaMemcpy3DParms& parameters, CUDA_MEMCPY3D* copy);
cudaError_t boxCopy(const cudaMemcpy3DPeerParms& parameters, CUDA_MEMCPY3D_PEER* copy);

// The same of cudaMemcpy3DBatchAsync's.
cudaError_t boxCopy(const cudaMemcpy3DBatchOp& operation, CUDA_MEMCPY3D* copy);

bool isEmpty(const CUDA_MEMCPY3D& copy);

}  // namespace vgpu::cudart
