// A kernel that never ends, for tests that kill programs: prints `running` and waits for ever.
#include <cuda_runtime.h>

#include "tests/support/check.h"

__global__ void endless(volatile int* stop) {
  while (*stop == 0) {}
}

int main() {
  int* stop;
  CHECK_CUDA(cudaMalloc(&stop, sizeof(int)));
  CHECK_CUDA(cudaMemset(stop, 0, sizeof(int)));
  CHECK_CUDA(cudaDeviceSynchronize());
  endless<<<1, 1>>>(stop);
  std::puts("running");
  std::fflush(stdout);
  const cudaError_t result = cudaDeviceSynchronize();
  std::printf("the kernel ended: %s\n", cudaGetErrorName(result));
  return 3;
}
