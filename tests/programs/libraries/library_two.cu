// The same names as in the first library, with another meaning. Computes before main too.
#include <cuda_runtime.h>

#include "tests/support/check.h"

static __device__ int factor = 1000;
static __global__ void apply(int* data) { data[threadIdx.x] += factor; }

extern "C" void libraryTwoApply(int* data) {
  apply<<<1, 32>>>(data);
  CHECK_CUDA(cudaGetLastError());
}

extern "C" int libraryTwoCompute() {
  int *data, host[32] = {};
  CHECK_CUDA(cudaMalloc(&data, sizeof(host)));
  CHECK_CUDA(cudaMemset(data, 0, sizeof(host)));
  libraryTwoApply(data);
  CHECK_CUDA(cudaMemcpy(host, data, sizeof(host), cudaMemcpyDeviceToHost));
  CHECK_CUDA(cudaFree(data));
  return host[31];
}
