// The second object of separate_compilation.
#include <cuda_runtime.h>

#include "tests/programs/separate_compilation/other.h"
#include "tests/support/check.h"

__device__ int counter = 0;

namespace {

__constant__ float factor = 1.0f;
__device__ int hidden = 7;
__device__ __noinline__ int own(int x) { return x - hidden; }

__device__ int sum(int a, int b) { return a + b; }
__device__ int difference(int a, int b) { return a - b; }

}  // namespace

__device__ Operation operations[2] = {sum, difference};
__device__ float scale(float x) { return x * factor; }
__device__ int otherOwn(int x) { return own(x); }
__device__ const char* otherText() { return "xyz"; }

__device__ int sumDynamic(int count) {
  extern __shared__ int dynamic[];
  int total = 0;
  for (int i = 0; i < count; ++i) total += dynamic[i];
  return total;
}

__global__ void otherKernel(int* out, int factor) { *out = countedSum(20, 1) * factor; }

void setFactor(float value) { CHECK_CUDA(cudaMemcpyToSymbol(factor, &value, sizeof value)); }

int counterFromOther() {
  int count = -1;
  CHECK_CUDA(cudaMemcpyFromSymbol(&count, counter, sizeof count));
  return count;
}

void launchOther(int* out) { otherKernel<<<1, 1>>>(out, 1); }
