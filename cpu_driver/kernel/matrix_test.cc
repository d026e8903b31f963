// The matrix instructions on registers laid out by hand. Every shape and layout is checked against the ISA's
// figures by tests/programs/matrix_fragments.cu; here is what those exact sums do not show.
#include "cpu_driver/kernel/matrix.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "cpu_driver/kernel/matrix_numbers.h"

namespace vgpu::kernel {
namespace {

struct Warp {
  std::array<MatrixRegisters, 32> lanes{};
  void run(const MatrixOperation& operation) {
    std::array<MatrixRegisters*, 32> pointers;
    for (size_t lane = 0; lane < 32; ++lane) pointers[lane] = &lanes[lane];
    completeMatrixOperation(operation, pointers.data());
  }
};

MatrixOperation product(uint8_t rows, uint8_t columns, uint16_t depth, MatrixElement factor,
                        MatrixElement sum) {
  MatrixOperation made;
  made.rows = rows, made.columns = columns, made.depth = depth;
  made.a = made.b = factor;
  made.c = made.d = sum;
  return made;
}

TEST(Matrix, AnOperationSurvivesPacking) {
  MatrixOperation made = product(32, 8, 256, MatrixElement::B1, MatrixElement::S32);
  made.action = MatrixAction::Store;
  made.rounding = MatrixRounding::Up;
  made.conjunction = made.aByColumns = made.transposed = true;
  const MatrixOperation back = MatrixOperation::unpack(made.packed());
  EXPECT_EQ(back.packed(), made.packed());
  EXPECT_EQ(back.action, MatrixAction::Store);
  EXPECT_EQ(back.rounding, MatrixRounding::Up);
  EXPECT_EQ(back.depth, 256);
  EXPECT_EQ(back.d, MatrixElement::S32);
  EXPECT_TRUE(back.conjunction && back.aByColumns && back.transposed);
  EXPECT_FALSE(back.saturate || back.quadPairs || back.bByRows);
}

// Every element is held once; the places are told apart.
TEST(Matrix, FragmentsCoverTheirMatrices) {
  struct Shape {
    uint32_t rows, columns, depth, perUnit;
  };
  for (const Shape& s : {Shape{16, 8, 16, 2}, Shape{8, 8, 32, 8}, Shape{32, 8, 16, 2}, Shape{8, 32, 16, 4},
                         Shape{16, 16, 8, 1}, Shape{16, 8, 256, 32}}) {
    std::vector<int> a(s.rows * s.depth), b(s.depth * s.columns), c(s.rows * s.columns);
    const uint32_t unitsA = s.rows * s.depth / 32 / s.perUnit, unitsB = s.depth * s.columns / 32 / s.perUnit;
    for (uint32_t lane = 0; lane < 32; ++lane) {
      for (uint32_t unit = 0; unit < unitsA; ++unit) {
        const auto [row, column] = placeInA(s.rows, s.perUnit, unitsA, lane, unit);
        for (uint32_t e = 0; e < s.perUnit; ++e) ++a.at(row * s.depth + column + e);
      }
      for (uint32_t unit = 0; unit < unitsB; ++unit) {
        const auto [row, column] = placeInB(s.columns, s.perUnit, unitsB, lane, unit);
        for (uint32_t e = 0; e < s.perUnit; ++e) ++b.at((row + e) * s.columns + column);
      }
      for (uint32_t i = 0; i < s.rows * s.columns / 32; ++i) {
        const auto [row, column] = placeInC(s.rows, lane, i);
        ++c.at(row * s.columns + column);
      }
    }
    for (const auto* held : {&a, &b, &c})
      EXPECT_EQ(*held, std::vector<int>(held->size(), 1)) << s.rows << s.columns;
  }
}

TEST(Matrix, HalvesConvertThereAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = floatOfHalf(bits);
    if ((bits & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_EQ(halfOfFloat(value), 0x7fffu);
    } else {
      EXPECT_EQ(halfOfFloat(value), bits);
    }
  }
  EXPECT_EQ(floatOfHalf(1), 0x1p-24f);
  EXPECT_EQ(halfOfFloat(65519.0f), 0x7bffu);
  EXPECT_EQ(halfOfFloat(65520.0f), 0x7c00u);
  EXPECT_EQ(halfOfFloat(2049.0f), 0x6800u);  // a tie, to even
  EXPECT_EQ(halfOfFloat(0x1.8p-25f), 1u);
  EXPECT_EQ(halfOfFloat(0x1p-25f), 0u);
}

TEST(Matrix, EightBitFloatsHaveTheirLimits) {
  EXPECT_EQ(floatOf(MatrixElement::E4M3, 0x7e), 448.0f);
  EXPECT_EQ(floatOf(MatrixElement::E4M3, 0x81), -0x1p-9f);
  EXPECT_TRUE(std::isnan(floatOf(MatrixElement::E4M3, 0xff)));
  EXPECT_EQ(floatOf(MatrixElement::E5M2, 0x7b), 57344.0f);
  EXPECT_TRUE(std::isinf(floatOf(MatrixElement::E5M2, 0xfc)));
  EXPECT_EQ(floatOf(MatrixElement::TF32, 0x3f801fff), 1.0f);
}

// The product of two halves has 22 bits; the sum is rounded to the type of D once, at the end.
TEST(Matrix, SumsOfHalvesAreRoundedOnce) {
  Warp warp;
  for (auto& lane : warp.lanes) {
    lane.a[0] = 0x3c01;  // 1 + 2^-10 at k = 0 of lanes 4g, else zero below
    lane.b[0] = 0x3c01;
    lane.c[0] = lane.c[1] = 0;
  }
  for (uint32_t lane = 0; lane < 32; ++lane) {
    if (lane % 4 != 0) warp.lanes[lane].a[0] = 0;
  }
  warp.run(product(16, 8, 8, MatrixElement::F16, MatrixElement::F32));
  EXPECT_EQ(std::bit_cast<float>(warp.lanes[0].d[0]), (1 + 0x1p-10f) * (1 + 0x1p-10f));
  warp.run(product(16, 8, 8, MatrixElement::F16, MatrixElement::F16));
  EXPECT_EQ(warp.lanes[0].d[0] & 0xffff, 0x3c02u);
}

TEST(Matrix, IntegersWrapUnlessTheySaturate) {
  Warp warp;
  for (auto& lane : warp.lanes) {
    lane.a[0] = lane.b[0] = 0x01010101;
    lane.c[0] = 0x7fffffff;
    lane.c[1] = 0x80000000;
  }
  MatrixOperation op = product(8, 8, 16, MatrixElement::S8, MatrixElement::S32);
  warp.run(op);
  EXPECT_EQ(warp.lanes[5].d[0], 0x8000000fu);
  op.saturate = true;
  warp.run(op);
  EXPECT_EQ(warp.lanes[5].d[0], 0x7fffffffu);
  EXPECT_EQ(warp.lanes[5].d[1], 0x80000010u);
}

TEST(Matrix, DoublesAreRoundedAsAsked) {
  const auto lowest = [](MatrixRounding rounding, double c) {
    Warp warp;
    const double one = 1, tiny = 0x1p-80;
    for (uint32_t lane = 0; lane < 32; ++lane) {
      std::memcpy(warp.lanes[lane].a, lane % 4 == 0 ? &one : &tiny, sizeof one);
      std::memcpy(warp.lanes[lane].b, lane % 4 == 1 ? &one : &tiny, sizeof one);
      std::memcpy(warp.lanes[lane].c, &c, sizeof c);
    }
    MatrixOperation op = product(8, 8, 4, MatrixElement::F64, MatrixElement::F64);
    op.rounding = rounding;
    warp.run(op);
    double result;
    std::memcpy(&result, warp.lanes[0].d, sizeof result);
    return result;
  };
  constexpr double kStep = std::numeric_limits<double>::epsilon();
  EXPECT_EQ(lowest(MatrixRounding::Nearest, 1), 1);
  EXPECT_EQ(lowest(MatrixRounding::Zero, 1), 1);
  EXPECT_EQ(lowest(MatrixRounding::Down, 1), 1);
  EXPECT_GE(lowest(MatrixRounding::Up, 1), 1 + kStep);
  EXPECT_GT(lowest(MatrixRounding::Zero, -1), -1);
}

TEST(Matrix, ALaneThatIsNotThereHoldsZeros) {
  std::array<MatrixRegisters, 32> lanes{};
  std::array<MatrixRegisters*, 32> pointers{};
  for (size_t lane = 0; lane < 16; ++lane) {
    lanes[lane].a[0] = lanes[lane].b[0] = 0x01010101;
    pointers[lane] = &lanes[lane];
  }
  completeMatrixOperation(product(8, 8, 16, MatrixElement::U8, MatrixElement::S32), pointers.data());
  EXPECT_EQ(lanes[0].d[0], 16u);
  EXPECT_EQ(lanes[2].d[0], 0u);  // column 4, which lanes 16 to 19 would hold
}

}  // namespace
}  // namespace vgpu::kernel
