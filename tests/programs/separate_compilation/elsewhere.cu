// The other source of separate_compilation.
#include <cuda_runtime.h>

#include <cstdio>

__device__ int offsetElsewhere = 1000;
__constant__ int table[4] = {0, 10, 20, 30};

// In every source that uses it, as an inline function of a header is.
template <class Number>
__device__ __noinline__ Number tripled(Number value) {
  return 3 * value;
}

static __device__ int ownOffset = 50;
static __device__ int add(int value) { return value + ownOffset; }

__device__ int scaledElsewhere(int value) { return add(tripled(value)); }

__global__ void offset(int* out) {
  out[threadIdx.x] = scaledElsewhere(static_cast<int>(threadIdx.x)) + offsetElsewhere;
  if (threadIdx.x == 100) printf("nor %s\n", "there");
}

cudaError_t launchElsewhere(int* out) {
  offset<<<1, 32>>>(out);
  return cudaGetLastError();
}
