// A library with a kernel and a symbol of its own, under names that another library uses too.
#include <cuda_runtime.h>

#include "tests/support/check.h"

static __device__ int factor = 3;
static __global__ void apply(int* data) { data[threadIdx.x] *= factor; }

extern "C" void libraryOneApply(int* data) {
  apply<<<1, 32>>>(data);
  CHECK_CUDA(cudaGetLastError());
}
