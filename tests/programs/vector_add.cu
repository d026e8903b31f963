// The first CUDA program that everybody writes, with a grid that does not divide evenly.
#include <cuda_runtime.h>

#include <vector>

#include "tests/support/check.h"

__global__ void add(const float* a, const float* b, float* sum, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) sum[i] = a[i] + b[i];
}

int main() {
  constexpr int kCount = 1'000'003;
  constexpr size_t kBytes = kCount * sizeof(float);
  std::vector<float> a(kCount), b(kCount), sum(kCount);
  for (int i = 0; i < kCount; ++i) {
    a[i] = float(i % 1000) * 0.5f;
    b[i] = float(i % 77);
  }
  float *deviceA, *deviceB, *deviceSum;
  CHECK_CUDA(cudaMalloc(&deviceA, kBytes));
  CHECK_CUDA(cudaMalloc(&deviceB, kBytes));
  CHECK_CUDA(cudaMalloc(&deviceSum, kBytes));
  CHECK_CUDA(cudaMemcpy(deviceA, a.data(), kBytes, cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy(deviceB, b.data(), kBytes, cudaMemcpyHostToDevice));
  add<<<(kCount + 255) / 256, 256>>>(deviceA, deviceB, deviceSum, kCount);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaMemcpy(sum.data(), deviceSum, kBytes, cudaMemcpyDeviceToHost));
  for (int i = 0; i < kCount; ++i) {
    EXPECT(sum[i] == a[i] + b[i], "element %d is %g instead of %g", i, sum[i], a[i] + b[i]);
  }
  CHECK_CUDA(cudaFree(deviceA));
  CHECK_CUDA(cudaFree(deviceB));
  CHECK_CUDA(cudaFree(deviceSum));
  return check::ok("vector_add: %d sums", kCount);
}
