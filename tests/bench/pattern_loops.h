// The work of pattern_bench's kernels as plain loops in C++ on the rows or items [begin, end): what a
// processor does with it without a GPU's model. Built with -O3 -march=native -ffast-math. All matrices are
// row major.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vgpu::bench {

float sumPart(const float* values, size_t begin, size_t end);
void softmaxRows(const float* in, float* out, size_t columns, size_t begin, size_t end);
void normalizeRows(const float* in, float* out, size_t columns, size_t begin, size_t end);
// `counts` has 256 bins and is this part's own.
void histogramPart(const uint32_t* values, uint32_t* counts, size_t begin, size_t end);
// Square; in tiles, as one does on processors too.
void transposeRows(const float* in, float* out, size_t side, size_t begin, size_t end);
// Five points; a row and a column at each edge are left alone.
void stencilRows(const float* in, float* out, size_t side, size_t begin, size_t end);
// Each run of 256 values becomes its running sum.
void scanRuns(const float* in, float* out, size_t begin, size_t end);
void saxpyPart(float factor, const float* x, float* y, size_t begin, size_t end);
void matrixRows(const float* a, const float* b, float* c, size_t side, size_t begin, size_t end);
// Sparse rows: starts[row] .. starts[row + 1] of columns and values.
void sparseRows(const int* starts, const int* columns, const float* values, const float* x, float* y,
                size_t begin, size_t end);
// Bodies are x, y, z, weight.
void bodiesPart(const float* bodies, float* out, size_t count, size_t begin, size_t end);

}  // namespace vgpu::bench
