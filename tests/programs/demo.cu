// What `make demo` shows: an ordinary CUDA program, which says where it runs and draws the Mandelbrot set.
#include <cuda_runtime.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/check.h"

constexpr int kWidth = 1024, kHeight = 1024, kMaximum = 300, kColumns = 78, kRows = 28;

__global__ void render(int* steps) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
  const float x = -2.2f + 3.2f * column / kWidth, y = -1.3f + 2.6f * row / kHeight;
  float real = 0, imaginary = 0;
  int count = 0;
  for (; count < kMaximum && real * real + imaginary * imaginary <= 4; ++count) {
    const float next = real * real - imaginary * imaginary + x;
    imaginary = 2 * real * imaginary + y;
    real = next;
  }
  steps[row * kWidth + column] = count;
}

int main() {
  cudaDeviceProp properties;
  CHECK_CUDA(cudaGetDeviceProperties(&properties, 0));
  std::printf("device 0: %s, compute capability %d.%d, %zu MiB\n", properties.name, properties.major,
              properties.minor, properties.totalGlobalMem >> 20);
  int* device;
  CHECK_CUDA(cudaMalloc(&device, kWidth * kHeight * sizeof(int)));
  const auto begin = std::chrono::steady_clock::now();
  render<<<dim3(kWidth / 16, kHeight / 16), dim3(16, 16)>>>(device);
  CHECK_CUDA(cudaGetLastError());
  std::vector<int> steps(kWidth * kHeight);
  CHECK_CUDA(cudaMemcpy(steps.data(), device, steps.size() * sizeof(int), cudaMemcpyDeviceToHost));
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
  const std::string shades = " .:-=+*#%@";
  long inside = 0;
  for (const int count : steps) inside += count == kMaximum;
  for (int row = 0; row < kRows; ++row) {
    std::string line;
    for (int column = 0; column < kColumns; ++column) {
      const int count = steps[size_t(row) * kHeight / kRows * kWidth + size_t(column) * kWidth / kColumns];
      line += count == kMaximum ? '@' : shades[size_t(count) % 9];
    }
    std::puts(line.c_str());
  }
  EXPECT(inside > kWidth * kHeight / 7 && inside < kWidth * kHeight / 5, "%ld points lie inside", inside);
  return check::ok("%d x %d points in %.0f ms, %ld of them inside", kWidth, kHeight, taken.count(), inside);
}
