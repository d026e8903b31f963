// The same work as plain loops in C++, built with -O3 -march=native (and -ffast-math where a reduction would
// not be vectorised otherwise), with as many threads as the CPU driver has workers. Seconds of one run.
#pragma once

#include <cstddef>

namespace vgpu::bench {

double saxpyLoop(size_t count, int threads);
double matrixLoop(int side, int threads);  // i, k, j
double bodiesLoop(int bodies, int threads);
double sumLoop(size_t count, int threads);

}  // namespace vgpu::bench
