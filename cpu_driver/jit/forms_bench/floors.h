// The loops that the forms are compared with; floors.cc is built as the floors say (-O3 -march=native
// -ffast-math).
#pragma once

#include <cstddef>

namespace vgpu::jit::bench {

void saxpyLoop(float a, const float* x, float* y, size_t n);
void matmulLoop(const float* a, const float* b, float* c, int n);
void nbodyLoop(const float* bodies, float* out, int n);
float sumLoop(const float* in, size_t n);
void mandelbrotLoop(int* out, int width, int height, int limit);

}  // namespace vgpu::jit::bench
