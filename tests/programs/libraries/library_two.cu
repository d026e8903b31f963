// The same names as in the first library, with another meaning. Launches before main, from a constructor.
#include <cuda_runtime.h>

#include "tests/support/check.h"

static __device__ int factor = 1000;
static __global__ void apply(int* data) { data[threadIdx.x] += factor; }

struct BeforeMain {
  int value = 0;
  BeforeMain() {
    int *data, host[32] = {};
    CHECK_CUDA(cudaMalloc(&data, sizeof(host)));
    CHECK_CUDA(cudaMemset(data, 0, sizeof(host)));
    apply<<<1, 32>>>(data);
    CHECK_CUDA(cudaMemcpy(host, data, sizeof(host), cudaMemcpyDeviceToHost));
    CHECK_CUDA(cudaFree(data));
    value = host[31];
  }
};
static BeforeMain beforeMain;

extern "C" void libraryTwoApply(int* data) {
  apply<<<1, 32>>>(data);
  CHECK_CUDA(cudaGetLastError());
}

extern "C" int libraryTwoBeforeMain() { return beforeMain.value; }
