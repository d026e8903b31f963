#include "cpu_driver/kernel/matrix.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cpu_driver/kernel/matrix_numbers.h"

namespace vgpu::kernel {
namespace {

constexpr MatrixRegisters kAbsent{};

using Lanes = MatrixRegisters* const*;

const MatrixRegisters& registersOf(Lanes lanes, uint32_t lane) {
  return lanes[lane] ? *lanes[lane] : kAbsent;
}

// A, B and the sum, row by row: no shape of the ISA is larger (B1 is multiplied by words). Small, for a
// fiber's stack.
template <class T>
struct Matrices {
  explicit Matrices(const MatrixOperation& op) : depth(op.depth), columns(op.columns) {}
  uint32_t depth, columns;
  alignas(64) T a[16 * 64];
  alignas(64) T b[64 * 8];
  alignas(64) T sum[16 * 16];

  T& sumAt(MatrixPlace at) { return sum[at.row * columns + at.column]; }
};

template <class T>
T valueOf(MatrixElement element, uint32_t bits) {
  if constexpr (std::is_same_v<T, float>) return floatOf(element, bits);
  return static_cast<T>(integerOf(element, bits));
}

// A and B, whose elements have 32 bits or less.
template <class T>
void spread(const MatrixOperation& op, Lanes lanes, Matrices<T>& out) {
  const uint32_t bitsA = bitsOf(op.a), bitsB = bitsOf(op.b);
  const uint32_t wordsA = matrixWords(op.rows, op.depth, op.a),
                 wordsB = matrixWords(op.depth, op.columns, op.b);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const MatrixRegisters& own = registersOf(lanes, lane);
    for (uint32_t word = 0; word < wordsA; ++word) {
      const MatrixPlace at = placeInA(op.rows, 32 / bitsA, wordsA, lane, word);
      for (uint32_t e = 0; e < 32 / bitsA; ++e)
        out.a[at.row * out.depth + at.column + e] = valueOf<T>(op.a, own.a[word] >> e * bitsA);
    }
    for (uint32_t word = 0; word < wordsB; ++word) {
      const MatrixPlace at = placeInB(op.columns, 32 / bitsB, wordsB, lane, word);
      for (uint32_t e = 0; e < 32 / bitsB; ++e)
        out.b[(at.row + e) * out.columns + at.column] = valueOf<T>(op.b, own.b[word] >> e * bitsB);
    }
  }
}

// sum += A x B, along K. In floats every product of two 11-bit numbers is exact, so that it makes no
// difference whether the compiler fuses.
template <uint32_t Columns, class T>
void multiply(const MatrixOperation& op, Matrices<T>& m) {
  for (uint32_t row = 0; row < op.rows; ++row) {
    T sum[Columns];
    std::copy_n(m.sum + row * Columns, Columns, sum);
    for (uint32_t k = 0; k < op.depth; ++k) {
      const T factor = m.a[row * op.depth + k];
      for (uint32_t column = 0; column < Columns; ++column) sum[column] += factor * m.b[k * Columns + column];
    }
    std::copy_n(sum, Columns, m.sum + row * Columns);
  }
}

template <class T>
void multiply(const MatrixOperation& op, Matrices<T>& m) {
  if (op.columns == 8) return multiply<8>(op, m);
  if (op.columns == 16) return multiply<16>(op, m);
  multiply<32>(op, m);
}

float readFloat(MatrixElement element, const uint32_t* words, uint32_t index) {
  if (element == MatrixElement::F16) return floatOfHalf(words[index / 2] >> index % 2 * 16 & 0xffff);
  return std::bit_cast<float>(words[index]);
}

void writeFloat(MatrixElement element, uint32_t* words, uint32_t index, float value) {
  if (element != MatrixElement::F16) {
    words[index] = canonicalBits(value);
    return;
  }
  const uint32_t shift = index % 2 * 16;
  words[index / 2] = (words[index / 2] & ~(0xffffu << shift)) | halfOfFloat(value) << shift;
}

void multiplyFloats(const MatrixOperation& op, Lanes lanes) {
  Matrices<float> m(op);
  spread(op, lanes, m);
  const uint32_t each = uint32_t{op.rows} * op.columns / 32;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t i = 0; i < each; ++i) {
      m.sumAt(placeInC(op.rows, lane, i)) = readFloat(op.c, registersOf(lanes, lane).c, i);
    }
  }
  multiply(op, m);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t i = 0; lanes[lane] && i < each; ++i)
      writeFloat(op.d, lanes[lane]->d, i, m.sumAt(placeInC(op.rows, lane, i)));
  }
}

uint32_t accumulate(const MatrixOperation& op, uint32_t c, int32_t products) {
  const int64_t sum = int64_t{static_cast<int32_t>(c)} + products;
  if (!op.saturate) return static_cast<uint32_t>(sum);
  using Limits = std::numeric_limits<int32_t>;
  return static_cast<uint32_t>(std::clamp<int64_t>(sum, Limits::min(), Limits::max()));
}

void addProducts(const MatrixOperation& op, Lanes lanes, const int32_t* products) {
  const uint32_t each = uint32_t{op.rows} * op.columns / 32;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t i = 0; lanes[lane] && i < each; ++i) {
      const MatrixPlace at = placeInC(op.rows, lane, i);
      lanes[lane]->d[i] = accumulate(op, lanes[lane]->c[i], products[at.row * op.columns + at.column]);
    }
  }
}

void multiplyIntegers(const MatrixOperation& op, Lanes lanes) {
  Matrices<int32_t> m(op);
  spread(op, lanes, m);
  std::fill_n(m.sum, op.rows * op.columns, 0);
  multiply(op, m);
  addProducts(op, lanes, m.sum);
}

// Bits: a product is the population count of A's row and B's column, combined (PTX ISA, mma: .xor.popc,
// .and.popc).
void multiplyBits(const MatrixOperation& op, Lanes lanes) {
  uint32_t a[16][8], b[8][8];
  const uint32_t wordsA = matrixWords(op.rows, op.depth, op.a),
                 wordsB = matrixWords(op.depth, op.columns, op.b);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const MatrixRegisters& own = registersOf(lanes, lane);
    for (uint32_t word = 0; word < wordsA; ++word) {
      const MatrixPlace at = placeInA(op.rows, 32, wordsA, lane, word);
      a[at.row][at.column / 32] = own.a[word];
    }
    for (uint32_t word = 0; word < wordsB; ++word) {
      const MatrixPlace at = placeInB(op.columns, 32, wordsB, lane, word);
      b[at.row / 32][at.column] = own.b[word];
    }
  }
  int32_t products[16 * 8];
  for (uint32_t row = 0; row < op.rows; ++row) {
    for (uint32_t column = 0; column < op.columns; ++column) {
      int32_t count = 0;
      for (uint32_t k = 0; k < op.depth / 32u; ++k) {
        const uint32_t x = a[row][k], y = b[k][column];
        count += std::popcount(op.conjunction ? x & y : x ^ y);
      }
      products[row * op.columns + column] = count;
    }
  }
  addProducts(op, lanes, products);
}

double doubleAt(const uint32_t* words, uint32_t index) {
  double value;
  std::memcpy(&value, words + 2 * size_t{index}, sizeof value);
  return value;
}

// x * y + z, rounded once as asked. The barriers keep the compiler from moving the sum out of the rounding
// mode.
double fusedRounded(double x, double y, double z, MatrixRounding rounding) {
  if (rounding == MatrixRounding::Nearest) return std::fma(x, y, z);
  constexpr uint32_t kModes[] = {0, 3, 1, 2};  // of MXCSR's rounding control, by MatrixRounding
  const uint32_t before = _mm_getcsr();
  _mm_setcsr((before & ~0x6000u) | kModes[static_cast<uint32_t>(rounding)] << 13);
  asm volatile("" : "+x"(z));
  double sum = std::fma(x, y, z);
  asm volatile("" : "+x"(sum));
  _mm_setcsr(before);
  return sum;
}

void multiplyDoubles(const MatrixOperation& op, Lanes lanes) {
  double a[16][16], b[16][8];
  const uint32_t unitsA = uint32_t{op.rows} * op.depth / 32, unitsB = uint32_t{op.depth} * op.columns / 32;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const MatrixRegisters& own = registersOf(lanes, lane);
    for (uint32_t unit = 0; unit < unitsA; ++unit) {
      const MatrixPlace at = placeInA(op.rows, 1, unitsA, lane, unit);
      a[at.row][at.column] = doubleAt(own.a, unit);
    }
    for (uint32_t unit = 0; unit < unitsB; ++unit) {
      const MatrixPlace at = placeInB(op.columns, 1, unitsB, lane, unit);
      b[at.row][at.column] = doubleAt(own.b, unit);
    }
  }
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t i = 0; lanes[lane] && i < uint32_t{op.rows} * op.columns / 32; ++i) {
      const MatrixPlace at = placeInC(op.rows, lane, i);
      double sum = doubleAt(lanes[lane]->c, i);
      for (uint32_t k = 0; k < op.depth; ++k)
        sum = fusedRounded(a[at.row][k], b[k][at.column], sum, op.rounding);
      std::memcpy(lanes[lane]->d + 2 * size_t{i}, &sum, sizeof sum);
    }
  }
}

// mma.m8n8k4 of F16: lanes 4q to 4q + 3 and 16 more do the q-th of four products (PTX ISA, 9.7.14.5.1).
void multiplyQuadPairs(const MatrixOperation& op, Lanes lanes) {
  for (uint32_t quad = 0; quad < 4; ++quad) {
    float a[8][4], b[4][8], sum[8][8];
    const auto placeOf = [](MatrixElement type, uint32_t lane, uint32_t i) -> MatrixPlace {
      const uint32_t low = lane % 4, upper = lane / 16 * 4;
      if (type == MatrixElement::F16) return {low + upper, i};
      return {(low & 1) + (i & 2) + upper, (i & 4) + (low & 2) + (i & 1)};
    };
    const auto forEachLane = [&](auto body) {
      for (uint32_t i = 0; i < 8; ++i) body(quad * 4 + i % 4 + i / 4 * 16);
    };
    forEachLane([&](uint32_t lane) {
      const MatrixRegisters& own = registersOf(lanes, lane);
      const uint32_t low = lane % 4, upper = lane / 16 * 4;
      for (uint32_t i = 0; i < 4; ++i) {
        (op.aByColumns ? a[i + upper][low] : a[low + upper][i]) = readFloat(MatrixElement::F16, own.a, i);
        (op.bByRows ? b[low][i + upper] : b[i][low + upper]) = readFloat(MatrixElement::F16, own.b, i);
      }
      for (uint32_t i = 0; i < 8; ++i) {
        const MatrixPlace at = placeOf(op.c, lane, i);
        sum[at.row][at.column] = readFloat(op.c, own.c, i);
      }
    });
    for (uint32_t row = 0; row < 8; ++row) {
      for (uint32_t k = 0; k < 4; ++k) {
        for (uint32_t column = 0; column < 8; ++column) sum[row][column] += a[row][k] * b[k][column];
      }
    }
    forEachLane([&](uint32_t lane) {
      for (uint32_t i = 0; lanes[lane] && i < 8; ++i) {
        const MatrixPlace at = placeOf(op.d, lane, i);
        writeFloat(op.d, lanes[lane]->d, i, sum[at.row][at.column]);
      }
    });
  }
}

void multiply(const MatrixOperation& op, Lanes lanes) {
  if (op.quadPairs) return multiplyQuadPairs(op, lanes);
  switch (op.a) {
    case MatrixElement::F64:
      return multiplyDoubles(op, lanes);
    case MatrixElement::B1:
      return multiplyBits(op, lanes);
    case MatrixElement::S8:
    case MatrixElement::U8:
    case MatrixElement::S4:
    case MatrixElement::U4:
      return multiplyIntegers(op, lanes);
    default:
      return multiplyFloats(op, lanes);
  }
}

// ldmatrix, stmatrix: lane 8m + r names the r-th row of the m-th matrix; lane 4r + c holds elements 2c and 2c
// + 1 of row r, or of column r when transposed (PTX ISA, 9.7.14.5.15).
void moveMatrices(const MatrixOperation& op, Lanes lanes) {
  const bool loads = op.action == MatrixAction::Load;
  for (uint32_t matrix = 0; matrix < op.depth; ++matrix) {
    std::byte* rows[8] = {};
    for (uint32_t row = 0; row < 8; ++row)
      std::memcpy(&rows[row], registersOf(lanes, matrix * 8 + row).a, sizeof rows[row]);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      if (!lanes[lane]) continue;
      for (uint32_t half = 0; half < 2; ++half) {
        const uint32_t across = lane % 4 * 2 + half, along = lane / 4;
        std::byte* memory = op.transposed ? rows[across] + 2 * along : rows[along] + 2 * across;
        std::byte* own = reinterpret_cast<std::byte*>(&lanes[lane]->d[matrix]) + 2 * half;
        loads ? std::memcpy(own, memory, 2) : std::memcpy(memory, own, 2);
      }
    }
  }
}

// movmatrix: element (r, c) goes to (c, r).
void transpose(Lanes lanes) {
  uint16_t elements[8][8];
  for (uint32_t lane = 0; lane < 32; ++lane)
    std::memcpy(&elements[lane / 4][lane % 4 * 2], registersOf(lanes, lane).a, sizeof(uint32_t));
  for (uint32_t lane = 0; lane < 32; ++lane) {
    if (!lanes[lane]) continue;
    const uint32_t row = lane / 4, column = lane % 4 * 2;
    lanes[lane]->d[0] = elements[column][row] | uint32_t{elements[column + 1][row]} << 16;
  }
}

}  // namespace

void completeMatrixOperation(const MatrixOperation& operation, MatrixRegisters* const lanes[32]) {
  switch (operation.action) {
    case MatrixAction::Multiply:
      return multiply(operation, lanes);
    case MatrixAction::Transpose:
      return transpose(lanes);
    default:
      return moveMatrices(operation, lanes);
  }
}

}  // namespace vgpu::kernel
