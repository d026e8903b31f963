// What a matrix instruction of a warp asks for, packed into the 64-bit `operation` of the marker vgpu.matrix,
// and which lane holds which element (PTX ISA 9.0, 9.7.14, "Matrix Fragments for ..."). Written by the
// translator as a constant, read on worker threads; owns nothing. The layouts of mma are the ISA's figures;
// those of wmma, which the ISA leaves open, are the same ones side by side, as the hardware has them since
// compute capability 8.
#pragma once

#include <cstdint>

namespace vgpu::kernel {

enum class MatrixAction : uint8_t { Multiply, Load, Store, Transpose };
enum class MatrixElement : uint8_t { F16, BF16, TF32, F32, F64, E4M3, E5M2, S8, U8, S4, U4, B1, S32 };
enum class MatrixRounding : uint8_t { Nearest, Zero, Down, Up };

constexpr uint32_t bitsOf(MatrixElement element) {
  switch (element) {
    case MatrixElement::F64:
      return 64;
    case MatrixElement::F16:
    case MatrixElement::BF16:
      return 16;
    case MatrixElement::E4M3:
    case MatrixElement::E5M2:
    case MatrixElement::S8:
    case MatrixElement::U8:
      return 8;
    case MatrixElement::S4:
    case MatrixElement::U4:
      return 4;
    case MatrixElement::B1:
      return 1;
    default:
      return 32;
  }
}

struct MatrixOperation {
  MatrixAction action = MatrixAction::Multiply;
  uint8_t rows = 16, columns = 8;  // of D: M and N
  uint16_t depth = 16;             // K; Load, Store: how many 8 x 8 matrices
  MatrixElement a = MatrixElement::F16, b = a, c = a, d = a;
  MatrixRounding rounding = MatrixRounding::Nearest;  // F64
  bool saturate = false;                              // integers stay within 32 bits
  bool conjunction = false;                           // B1: and, not xor
  bool quadPairs = false;                             // mma.m8n8k4 of F16: four products
  bool aByColumns = false, bByRows = false;           // quadPairs
  bool transposed = false;                            // Load, Store

  constexpr uint64_t packed() const {
    const uint64_t flags = uint64_t(saturate) | uint64_t(conjunction) << 1 | uint64_t(quadPairs) << 2 |
                           uint64_t(aByColumns) << 3 | uint64_t(bByRows) << 4 | uint64_t(transposed) << 5;
    return uint64_t(action) | uint64_t(rounding) << 4 | uint64_t(rows) << 8 | uint64_t(columns) << 16 |
           uint64_t(depth) << 24 | flags << 40 | uint64_t(a) << 48 | uint64_t(b) << 52 | uint64_t(c) << 56 |
           uint64_t(d) << 60;
  }
  static constexpr MatrixOperation unpack(uint64_t bits) {
    MatrixOperation made;
    made.action = MatrixAction(bits & 15);
    made.rounding = MatrixRounding(bits >> 4 & 15);
    made.rows = uint8_t(bits >> 8);
    made.columns = uint8_t(bits >> 16);
    made.depth = uint16_t(bits >> 24);
    made.saturate = (bits >> 40 & 1) != 0;
    made.conjunction = (bits >> 41 & 1) != 0;
    made.quadPairs = (bits >> 42 & 1) != 0;
    made.aByColumns = (bits >> 43 & 1) != 0;
    made.bByRows = (bits >> 44 & 1) != 0;
    made.transposed = (bits >> 45 & 1) != 0;
    made.a = MatrixElement(bits >> 48 & 15);
    made.b = MatrixElement(bits >> 52 & 15);
    made.c = MatrixElement(bits >> 56 & 15);
    made.d = MatrixElement(bits >> 60 & 15);
    return made;
  }
};

// A lane's registers, as the instruction names them, in the lane's own memory. Load and Store: `a` begins
// with the address of a row, `d` is what is loaded or stored. Transpose: `a` to `d`.
struct MatrixRegisters {
  uint32_t d[8];
  uint32_t c[8];
  uint32_t a[16];
  uint32_t b[8];
};

// 32-bit registers that a lane holds of a matrix of so many elements.
constexpr uint32_t matrixWords(uint32_t rows, uint32_t columns, MatrixElement element) {
  return rows * columns * bitsOf(element) / (32 * 32);
}

struct MatrixPlace {
  uint32_t row, column;
};

// The first element of a lane's `unit`-th register of A, which is rows x depth; `perUnit` elements,
// neighbours along the depth. A unit is a register of 32 bits, or a double. `units`: how many there are.
constexpr MatrixPlace placeInA(uint32_t rows, uint32_t perUnit, uint32_t units, uint32_t lane,
                               uint32_t unit) {
  const uint32_t group = lane / 4, within = lane % 4;
  if (rows == 8) return {group, unit * 4 * perUnit + within * perUnit};
  const uint32_t half = rows == 32 ? unit / (units / 2) : 0;
  const uint32_t rest = rows == 32 ? unit % (units / 2) : unit;
  return {half * 16 + rest % 2 * 8 + group, rest / 2 * 4 * perUnit + within * perUnit};
}

// The same of B, which is depth x columns.
constexpr MatrixPlace placeInB(uint32_t columns, uint32_t perUnit, uint32_t units, uint32_t lane,
                               uint32_t unit) {
  const uint32_t group = lane / 4, within = lane % 4;
  const uint32_t perBlock = units / (columns / 8);
  return {unit % perBlock * 4 * perUnit + within * perUnit, unit / perBlock * 8 + group};
}

// A lane's `index`-th element of C or D, which are rows x columns.
constexpr MatrixPlace placeInC(uint32_t rows, uint32_t lane, uint32_t index) {
  const uint32_t group = lane / 4, within = lane % 4, pair = index / 2;
  const uint32_t column = within * 2 + index % 2;
  if (rows == 8) return {group, pair * 8 + column};
  if (rows == 32) return {pair * 8 + group, column};
  return {pair % 2 * 8 + group, pair / 2 * 8 + column};
}

}  // namespace vgpu::kernel
