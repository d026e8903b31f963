// Separate compilation (nvcc -rdc=true): a kernel that calls functions and reads variables of another source,
// both with names of their own that are the same, and each with texts that it prints.
#include <cuda_runtime.h>

#include "tests/support/check.h"

extern __device__ int scaledElsewhere(int value);
extern __device__ int offsetElsewhere;
extern __constant__ int table[4];
cudaError_t launchElsewhere(int* out);

// In every source that uses it, as an inline function of a header is.
template <class Number>
__device__ __noinline__ Number tripled(Number value) {
  return 3 * value;
}

static __device__ int ownOffset = 1;
static __device__ int add(int value) { return value + ownOffset; }

__global__ void combine(int* out) {
  out[threadIdx.x] =
      add(scaledElsewhere(tripled(static_cast<int>(threadIdx.x)))) + offsetElsewhere + table[threadIdx.x % 4];
  if (threadIdx.x == 100) printf("never %s\n", "here");
}

int main() {
  int *out, host[32];
  CHECK_CUDA(cudaMalloc(&out, sizeof host));
  combine<<<1, 32>>>(out);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
  for (int i = 0; i < 32; ++i) {
    const int wanted = 9 * i + 50 + 1 + 1000 + 10 * (i % 4);
    EXPECT(host[i] == wanted, "element %d is %d instead of %d", i, host[i], wanted);
  }
  const int offset = 2000;
  CHECK_CUDA(cudaMemcpyToSymbol(offsetElsewhere, &offset, sizeof offset));
  CHECK_CUDA(launchElsewhere(out));
  CHECK_CUDA(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
  EXPECT(host[31] == 31 * 3 + 50 + 2000, "the other source's kernel gives %d", host[31]);
  CHECK_CUDA(cudaFree(out));
  return check::ok("separate_compilation: two sources linked for the device");
}
