// Separate compilation (nvcc -rdc=true): device functions, variables, constants and function pointers of
// other objects, and names that each object has for itself.
#include <cuda_runtime.h>

#include "tests/programs/separate_compilation/other.h"
#include "tests/support/check.h"

namespace {

__device__ int hidden = 100;
__device__ __noinline__ int own(int x) { return x + hidden; }

// Everything that this object knows of the others.
__global__ void useOthers(float* scaled, int* results) {
  const int i = threadIdx.x;
  scaled[i] = scale(float(i));
  atomicAdd(&counter, 1);
  if (i != 0) return;
  results[0] = own(1);
  results[1] = otherOwn(1);
  results[2] = operations[0](20, 3) * 1000 + operations[1](20, 3);
  results[3] = countedSum(5, 6);
  results[4] = otherText()[0] * 256 + "abc"[results[0] % 3];
}

// Shared memory of the launch, seen by two objects.
__global__ void sumInOther(int* out) {
  extern __shared__ int dynamic[];
  dynamic[threadIdx.x] = threadIdx.x;
  __syncthreads();
  if (threadIdx.x == 0) *out = sumDynamic(blockDim.x);
}

}  // namespace

int main() {
  constexpr int kThreads = 64;
  float* scaled = nullptr;
  int* results = nullptr;
  CHECK_CUDA(cudaMallocManaged(&scaled, kThreads * sizeof(float)));
  CHECK_CUDA(cudaMallocManaged(&results, 8 * sizeof(int)));

  setFactor(1.5f);
  useOthers<<<1, kThreads>>>(scaled, results);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaDeviceSynchronize());
  for (int i = 0; i < kThreads; ++i) EXPECT(scaled[i] == i * 1.5f, "scaled %d: %f", i, scaled[i]);
  EXPECT(results[0] == 101, "own function: %d", results[0]);
  EXPECT(results[1] == 1 - 7, "the other's function of the same name: %d", results[1]);
  EXPECT(results[2] == 23017, "function pointers: %d", results[2]);
  EXPECT(results[3] == 1011, "template of both: %d", results[3]);
  EXPECT(results[4] == 'x' * 256 + 'c', "strings: %d", results[4]);

  // A variable defined there, counted here, read by the host code of both.
  int count = 0;
  CHECK_CUDA(cudaMemcpyFromSymbol(&count, counter, sizeof count));
  EXPECT(count == kThreads && counterFromOther() == kThreads, "counter %d, %d", count, counterFromOther());

  // A kernel of the other object, launched there and here.
  launchOther(results + 5);
  otherKernel<<<1, 1>>>(results + 6, 2);
  sumInOther<<<1, 32, 32 * sizeof(int)>>>(results + 7);
  CHECK_CUDA(cudaDeviceSynchronize());
  EXPECT(results[5] == 2021 && results[6] == 2 * 3021, "the other kernel: %d, %d", results[5], results[6]);
  EXPECT(results[7] == 31 * 32 / 2, "sum of shared memory: %d", results[7]);
  return check::ok("separate_compilation: two objects linked on the device");
}
