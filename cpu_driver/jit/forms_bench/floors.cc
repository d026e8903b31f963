#include "cpu_driver/jit/forms_bench/floors.h"

#include <cmath>

namespace vgpu::jit::bench {

void saxpyLoop(float a, const float* x, float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] = a * x[i] + y[i];
}

void matmulLoop(const float* a, const float* b, float* c, int n) {
  const auto width = static_cast<size_t>(n);
  for (size_t i = 0; i < width * width; ++i) c[i] = 0;
  for (size_t i = 0; i < width; ++i)
    for (size_t k = 0; k < width; ++k)
      for (size_t j = 0; j < width; ++j) c[i * width + j] += a[i * width + k] * b[k * width + j];
}

void nbodyLoop(const float* bodies, float* out, int n) {
  for (int i = 0; i < n; ++i) {
    float ax = 0, ay = 0, az = 0;
    const float x = bodies[4 * i], y = bodies[4 * i + 1], z = bodies[4 * i + 2];
    for (int j = 0; j < n; ++j) {
      const float dx = bodies[4 * j] - x, dy = bodies[4 * j + 1] - y, dz = bodies[4 * j + 2] - z;
      const float inverse = 1.0f / std::sqrt(dx * dx + dy * dy + dz * dz + 0.01f);
      const float force = bodies[4 * j + 3] * inverse * inverse * inverse;
      ax += dx * force, ay += dy * force, az += dz * force;
    }
    out[4 * i] = ax, out[4 * i + 1] = ay, out[4 * i + 2] = az;
  }
}

float sumLoop(const float* in, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += in[i];
  return sum;
}

void mandelbrotLoop(int* out, int width, int height, int limit) {
  for (int j = 0; j < height; ++j)
    for (int i = 0; i < width; ++i) {
      const float cx = static_cast<float>(i) / static_cast<float>(width) * 3 - 2;
      const float cy = static_cast<float>(j) / static_cast<float>(height) * 2 - 1;
      float zx = 0, zy = 0;
      int it = 0;
      do {
        const float next = zx * zx - zy * zy + cx;
        zy = 2 * zx * zy + cy;
        zx = next;
        ++it;
      } while (zx * zx + zy * zy < 4 && it < limit);
      out[j * width + i] = it;
    }
}

}  // namespace vgpu::jit::bench
