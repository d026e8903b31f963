#include "tests/bench/pattern_loops.h"

#include <algorithm>
#include <cmath>

namespace vgpu::bench {

float sumPart(const float* values, size_t begin, size_t end) {
  float sum = 0;
  for (size_t i = begin; i < end; ++i) sum += values[i];
  return sum;
}

void softmaxRows(const float* in, float* out, size_t columns, size_t begin, size_t end) {
  for (size_t row = begin; row < end; ++row) {
    const float* from = in + row * columns;
    float* to = out + row * columns;
    float largest = from[0], sum = 0;
    for (size_t i = 0; i < columns; ++i) largest = std::max(largest, from[i]);
    for (size_t i = 0; i < columns; ++i) {
      to[i] = std::exp(from[i] - largest);
      sum += to[i];
    }
    for (size_t i = 0; i < columns; ++i) to[i] /= sum;
  }
}

void normalizeRows(const float* in, float* out, size_t columns, size_t begin, size_t end) {
  for (size_t row = begin; row < end; ++row) {
    const float* from = in + row * columns;
    float sum = 0, squares = 0;
    for (size_t i = 0; i < columns; ++i) {
      sum += from[i];
      squares += from[i] * from[i];
    }
    const float mean = sum / static_cast<float>(columns);
    const float scale = 1 / std::sqrt(squares / static_cast<float>(columns) - mean * mean + 1e-5f);
    for (size_t i = 0; i < columns; ++i) out[row * columns + i] = (from[i] - mean) * scale;
  }
}

void histogramPart(const uint32_t* values, uint32_t* counts, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) ++counts[values[i] & 255];
}

void transposeRows(const float* in, float* out, size_t side, size_t begin, size_t end) {
  constexpr size_t kTile = 16;
  for (size_t row = begin; row < end; row += kTile)
    for (size_t column = 0; column < side; column += kTile)
      for (size_t i = row; i < row + kTile; ++i)
        for (size_t j = column; j < column + kTile; ++j) out[j * side + i] = in[i * side + j];
}

void stencilRows(const float* in, float* out, size_t side, size_t begin, size_t end) {
  for (size_t row = std::max<size_t>(begin, 1); row < std::min(end, side - 1); ++row) {
    const float* from = in + row * side;
    for (size_t i = 1; i + 1 < side; ++i)
      out[row * side + i] = 0.2f * (from[i] + from[i - 1] + from[i + 1] + from[i - side] + from[i + side]);
  }
}

void scanRuns(const float* in, float* out, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    float sum = 0;
    for (size_t j = 256 * i; j < 256 * (i + 1); ++j) out[j] = sum += in[j];
  }
}

void saxpyPart(float factor, const float* x, float* y, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) y[i] = factor * x[i] + y[i];
}

void matrixRows(const float* a, const float* b, float* c, size_t side, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    float* row = c + i * side;
    for (size_t j = 0; j < side; ++j) row[j] = 0;
    for (size_t k = 0; k < side; ++k)
      for (size_t j = 0; j < side; ++j) row[j] += a[i * side + k] * b[k * side + j];
  }
}

void sparseRows(const int* starts, const int* columns, const float* values, const float* x, float* y,
                size_t begin, size_t end) {
  for (size_t row = begin; row < end; ++row) {
    float sum = 0;
    for (int i = starts[row]; i < starts[row + 1]; ++i) sum += values[i] * x[columns[i]];
    y[row] = sum;
  }
}

void bodiesPart(const float* bodies, float* out, size_t count, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    float ax = 0, ay = 0, az = 0;
    for (size_t j = 0; j < count; ++j) {
      const float dx = bodies[4 * j] - bodies[4 * i], dy = bodies[4 * j + 1] - bodies[4 * i + 1],
                  dz = bodies[4 * j + 2] - bodies[4 * i + 2];
      const float inverse = 1 / std::sqrt(dx * dx + dy * dy + dz * dz + 0.01f);
      const float strength = bodies[4 * j + 3] * inverse * inverse * inverse;
      ax += dx * strength;
      ay += dy * strength;
      az += dz * strength;
    }
    out[4 * i] = ax;
    out[4 * i + 1] = ay;
    out[4 * i + 2] = az;
  }
}

}  // namespace vgpu::bench
