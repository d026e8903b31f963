// Divergent loops: every thread leaves after a number of steps of its own. The total is exact in doubles.
#include <cuda_runtime.h>

#include <vector>

#include "tests/support/check.h"

constexpr int kWidth = 320, kHeight = 200, kMaximum = 400;

__host__ __device__ inline int escapeSteps(double x, double y) {
  double real = 0, imaginary = 0;
  int steps = 0;
  while (steps < kMaximum) {
    // Written with explicit rounding of each product so that host and device agree to the last bit.
#ifdef __CUDA_ARCH__
    const double squareReal = __dmul_rn(real, real), squareImaginary = __dmul_rn(imaginary, imaginary);
    if (__dadd_rn(squareReal, squareImaginary) > 4) break;
    imaginary = __dadd_rn(__dmul_rn(2 * real, imaginary), y);
    real = __dadd_rn(__dadd_rn(squareReal, -squareImaginary), x);
#else
    const double squareReal = real * real, squareImaginary = imaginary * imaginary;
    if (squareReal + squareImaginary > 4) break;
    const double product = 2 * real * imaginary;
    imaginary = product + y;
    const double difference = squareReal - squareImaginary;
    real = difference + x;
#endif
    ++steps;
  }
  return steps;
}

__global__ void render(int* image) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
  if (column >= kWidth || row >= kHeight) return;
  image[row * kWidth + column] = escapeSteps(-2.0 + 3.0 * column / kWidth, -1.0 + 2.0 * row / kHeight);
}

int main() {
  int* device;
  CHECK_CUDA(cudaMalloc(&device, kWidth * kHeight * sizeof(int)));
  render<<<dim3((kWidth + 31) / 32, (kHeight + 7) / 8), dim3(32, 8)>>>(device);
  CHECK_CUDA(cudaGetLastError());
  std::vector<int> image(kWidth * kHeight);
  CHECK_CUDA(cudaMemcpy(image.data(), device, image.size() * sizeof(int), cudaMemcpyDeviceToHost));
  long total = 0;
  for (int row = 0; row < kHeight; ++row) {
    for (int column = 0; column < kWidth; ++column) {
      const int wanted = escapeSteps(-2.0 + 3.0 * column / kWidth, -1.0 + 2.0 * row / kHeight);
      const int got = image[row * kWidth + column];
      EXPECT(got == wanted, "pixel %d, %d took %d steps instead of %d", column, row, got, wanted);
      total += got;
    }
  }
  return check::ok("mandelbrot: %ld steps", total);
}
