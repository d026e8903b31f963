// Tiled matrix product with 16 x 16 tiles in shared memory and two barriers a step.
#include <cuda_runtime.h>

#include <cmath>
#include <vector>

#include "tests/support/check.h"

constexpr int kTile = 16;

__global__ void multiply(const float* a, const float* b, float* c, int rows, int inner, int columns) {
  __shared__ float tileA[kTile][kTile], tileB[kTile][kTile];
  const int row = blockIdx.y * kTile + threadIdx.y, column = blockIdx.x * kTile + threadIdx.x;
  float sum = 0;
  for (int step = 0; step < inner; step += kTile) {
    const int columnA = step + threadIdx.x, rowB = step + threadIdx.y;
    tileA[threadIdx.y][threadIdx.x] = row < rows && columnA < inner ? a[row * inner + columnA] : 0.0f;
    tileB[threadIdx.y][threadIdx.x] = rowB < inner && column < columns ? b[rowB * columns + column] : 0.0f;
    __syncthreads();
    for (int k = 0; k < kTile; ++k) sum += tileA[threadIdx.y][k] * tileB[k][threadIdx.x];
    __syncthreads();
  }
  if (row < rows && column < columns) c[row * columns + column] = sum;
}

static void run(int rows, int inner, int columns) {
  std::vector<float> a(rows * inner), b(inner * columns), c(rows * columns, -1.0f);
  for (size_t i = 0; i < a.size(); ++i) a[i] = float(int(i % 23) - 11) / 8;
  for (size_t i = 0; i < b.size(); ++i) b[i] = float(int(i % 19) - 9) / 4;
  float *deviceA, *deviceB, *deviceC;
  CHECK_CUDA(cudaMalloc(&deviceA, a.size() * sizeof(float)));
  CHECK_CUDA(cudaMalloc(&deviceB, b.size() * sizeof(float)));
  CHECK_CUDA(cudaMalloc(&deviceC, c.size() * sizeof(float)));
  CHECK_CUDA(cudaMemcpy(deviceA, a.data(), a.size() * sizeof(float), cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy(deviceB, b.data(), b.size() * sizeof(float), cudaMemcpyHostToDevice));
  const dim3 grid((columns + kTile - 1) / kTile, (rows + kTile - 1) / kTile), block(kTile, kTile);
  multiply<<<grid, block>>>(deviceA, deviceB, deviceC, rows, inner, columns);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaMemcpy(c.data(), deviceC, c.size() * sizeof(float), cudaMemcpyDeviceToHost));
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      double sum = 0;
      for (int k = 0; k < inner; ++k) sum += double(a[row * inner + k]) * b[k * columns + column];
      const float got = c[row * columns + column];
      EXPECT(std::fabs(got - sum) <= 1e-3 * (1 + std::fabs(sum)),
             "%d x %d x %d: c[%d][%d] is %g instead of %g", rows, inner, columns, row, column, got, sum);
    }
  }
  CHECK_CUDA(cudaFree(deviceA));
  CHECK_CUDA(cudaFree(deviceB));
  CHECK_CUDA(cudaFree(deviceC));
}

int main() {
  run(128, 128, 128);
  run(100, 67, 33);
  return check::ok("matmul_tiled: 128 x 128 x 128 and 100 x 67 x 33");
}
