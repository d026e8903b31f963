// Loaded while the program runs; its kernels register then.
#include <cuda_runtime.h>

#include "tests/support/check.h"

static __constant__ int table[32] = {7};
static __global__ void apply(int* data) { data[threadIdx.x] -= table[0]; }

extern "C" void pluginApply(int* data) {
  apply<<<1, 32>>>(data);
  CHECK_CUDA(cudaGetLastError());
}
