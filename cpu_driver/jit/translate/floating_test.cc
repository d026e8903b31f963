// Floating-point arithmetic, rounding, NaN, and the approximations, against C++ and the ISA's tables.
#include <bit>
#include <cfenv>
#include <cfloat>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu_driver/jit/translate/translate_testing.h"

namespace vgpu::jit {
namespace {

using testing::Operation;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kWideInf = std::numeric_limits<double>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

const std::vector<float> kFloats = {0.0f,        -0.0f,       1.0f,    -1.0f,  1.5f,    0.1f,
                                    -0.3f,       3.0f,        7.7f,    1e10f,  -1e20f,  1e38f,
                                    FLT_MAX,     -FLT_MAX,    FLT_MIN, 1e-40f, -1e-44f, 1.0000001f,
                                    0.99999994f, 16777217.0f, 1e-20f,  kInf,   -kInf,   kNan};
const std::vector<double> kDoubles = {
    0.0, -0.0, 1.0, -1.0, 1.5, 0.1, -0.3, 3.0, 1e100, -1e200, 1e-100, 1.0000000000000002, kWideInf};

uint32_t bits(float x) { return std::isnan(x) ? 0x7fffffff : std::bit_cast<uint32_t>(x); }
uint64_t bits(double x) { return std::isnan(x) ? 0x7fffffffffffffff : std::bit_cast<uint64_t>(x); }

struct Mode {
  const char* name;
  int value;
};
const Mode kModes[] = {{"rn", FE_TONEAREST}, {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};

template <class T, class F>
T rounded(int mode, F compute) {
  std::fesetround(mode);
  volatile T result = compute();
  std::fesetround(FE_TONEAREST);
  return result;
}

TEST(Rounding, SinglePrecisionIsExactInEveryDirection) {
  for (const Mode& mode : kModes) {
    std::string m = mode.name;
    Operation add("fff", "add." + m + ".f32 d, a, b;"), mul("fff", "mul." + m + ".f32 d, a, b;"),
        div("fff", "div." + m + ".f32 d, a, b;"), fma("ffff", "fma." + m + ".f32 d, a, b, c;"),
        root("ff", "sqrt." + m + ".f32 d, a;");
    for (volatile float a : kFloats) {
      EXPECT_EQ(bits(root.operator()<float>(float(a))),
                bits(rounded<float>(mode.value, [&] { return std::sqrt(float(a)); })))
          << a << m;
      for (volatile float b : kFloats) {
        EXPECT_EQ(bits(add.operator()<float>(float(a), float(b))),
                  bits(rounded<float>(mode.value, [&] { return a + b; })))
            << a << "+" << b << m;
        EXPECT_EQ(bits(mul.operator()<float>(float(a), float(b))),
                  bits(rounded<float>(mode.value, [&] { return a * b; })))
            << a << "*" << b << m;
        EXPECT_EQ(bits(div.operator()<float>(float(a), float(b))),
                  bits(rounded<float>(mode.value, [&] { return a / b; })))
            << a << "/" << b << m;
        for (volatile float c : {0.0f, -0.0f, 1.0f, -1e-30f, 1e20f}) {
          EXPECT_EQ(bits(fma.operator()<float>(float(a), float(b), float(c))),
                    bits(rounded<float>(mode.value, [&] { return std::fma(float(a), float(b), float(c)); })))
              << a << "*" << b << "+" << c << m;
        }
      }
    }
  }
}

TEST(Rounding, DoublePrecisionIsExactInEveryDirection) {
  for (const Mode& mode : kModes) {
    std::string m = mode.name;
    Operation add("ddd", "add." + m + ".f64 d, a, b;"), mul("ddd", "mul." + m + ".f64 d, a, b;"),
        div("ddd", "div." + m + ".f64 d, a, b;"), fma("dddd", "fma." + m + ".f64 d, a, b, c;");
    for (volatile double a : kDoubles) {
      for (volatile double b : kDoubles) {
        if (std::isinf(a * b) || std::isinf(a / b)) continue;  // overflow keeps to infinity
        EXPECT_EQ(bits(add.operator()<double>(double(a), double(b))),
                  bits(rounded<double>(mode.value, [&] { return a + b; })))
            << a << "+" << b << m;
        EXPECT_EQ(bits(mul.operator()<double>(double(a), double(b))),
                  bits(rounded<double>(mode.value, [&] { return a * b; })))
            << a << "*" << b << m;
        EXPECT_EQ(bits(div.operator()<double>(double(a), double(b))),
                  bits(rounded<double>(mode.value, [&] { return a / b; })))
            << a << "/" << b << m;
        EXPECT_EQ(bits(fma.operator()<double>(double(a), double(b), 0.7)),
                  bits(rounded<double>(mode.value, [&] { return std::fma(double(a), double(b), 0.7); })))
            << a << "*" << b << m;
      }
    }
  }
}

TEST(FloatingPoint, MultiplyAndAddStayApartUnlessFused) {
  Operation apart("ffff", "{ .reg .f32 t; mul.f32 t, a, b; add.f32 d, t, c; }"),
      fused("ffff", "mad.rn.f32 d, a, b, c;");
  volatile float a = 1.0000001f, b = 1.0000001f, c = -1.0000002f, product = a * b;
  EXPECT_EQ(apart.operator()<float>(float(a), float(b), float(c)), float(product + c));
  EXPECT_EQ(fused.operator()<float>(float(a), float(b), float(c)), std::fma(float(a), float(b), float(c)));
}

TEST(FloatingPoint, FlushesAndSaturates) {
  Operation add("fff", "add.ftz.f32 d, a, b;"), sat("fff", "add.sat.f32 d, a, b;");
  EXPECT_EQ(bits(add.operator()<float>(1e-40f, 0.0f)), bits(0.0f));
  EXPECT_EQ(bits(add.operator()<float>(-1e-40f, -0.0f)), bits(-0.0f));
  EXPECT_EQ(sat.operator()<float>(0.75f, 0.75f), 1.0f);
  EXPECT_EQ(bits(sat.operator()<float>(-3.0f, 1.0f)), 0u);
  EXPECT_EQ(sat.operator()<float>(kNan, 1.0f), 0.0f);
}

TEST(FloatingPoint, ArithmeticMakesTheCanonicalNan) {
  Operation sub("fff", "sub.f32 d, a, b;"), neg("rff", "{ .reg .f32 t; mul.f32 t, a, b; mov.b32 d, t; }"),
      wide("lff", "{ .reg .f32 t; .reg .f64 w; sub.f32 t, a, b; cvt.f64.f32 w, t; mov.b64 d, w; }"),
      move("rr", "{ .reg .f32 t; mov.b32 t, a; mov.b32 d, t; }");
  EXPECT_EQ((sub.operator()<uint32_t>(kInf, kInf)), 0x7fffffffu);
  EXPECT_EQ((neg.operator()<uint32_t>(0.0f, kInf)), 0x7fffffffu);
  EXPECT_EQ((wide.operator()<uint64_t>(kInf, kInf)) >> 63, 0u);
  EXPECT_EQ((move.operator()<uint32_t>(0xffc12345u)), 0xffc12345u);  // bits that pass through are kept
}

TEST(FloatingPoint, MinimumAndMaximum) {
  Operation min("fff", "min.f32 d, a, b;"), max("fff", "max.f32 d, a, b;"),
      nan("fff", "min.NaN.f32 d, a, b;"), sign("fff", "max.xorsign.abs.f32 d, a, b;");
  EXPECT_EQ(bits(min.operator()<float>(0.0f, -0.0f)), bits(-0.0f));
  EXPECT_EQ(bits(max.operator()<float>(-0.0f, 0.0f)), bits(0.0f));
  EXPECT_EQ(min.operator()<float>(kNan, 2.0f), 2.0f);
  EXPECT_EQ(max.operator()<float>(2.0f, kNan), 2.0f);
  EXPECT_EQ((min.operator()<uint32_t>(kNan, kNan)), 0x7fffffffu);
  EXPECT_EQ((nan.operator()<uint32_t>(1.0f, kNan)), 0x7fffffffu);
  EXPECT_EQ(sign.operator()<float>(-3.0f, 2.0f), -3.0f);
  for (float a : kFloats) {
    for (float b : kFloats) {
      if (std::isnan(a) || std::isnan(b) || (a == 0 && b == 0)) continue;
      EXPECT_EQ(min.operator()<float>(a, b), std::min(a, b));
      EXPECT_EQ(max.operator()<float>(a, b), std::max(a, b));
    }
  }
}

TEST(FloatingPoint, ComparisonsKnowNan) {
  Operation lt("pff", "setp.lt.f32 d, a, b;"), ltu("pff", "setp.ltu.f32 d, a, b;"),
      ne("pff", "setp.ne.f32 d, a, b;"), neu("pff", "setp.neu.f32 d, a, b;"),
      both("pffp", "setp.gt.and.f32 d, a, b, !c;"), num("pff", "setp.num.f32 d, a, b;");
  EXPECT_EQ(lt.operator()<uint32_t>(1.0f, kNan), 0u);
  EXPECT_EQ(ltu.operator()<uint32_t>(1.0f, kNan), 1u);
  EXPECT_EQ(ne.operator()<uint32_t>(1.0f, kNan), 0u);
  EXPECT_EQ(neu.operator()<uint32_t>(1.0f, kNan), 1u);
  EXPECT_EQ(num.operator()<uint32_t>(1.0f, 2.0f), 1u);
  EXPECT_EQ(both.operator()<uint32_t>(2.0f, 1.0f, 1u), 0u);
  EXPECT_EQ(both.operator()<uint32_t>(2.0f, 1.0f, 0u), 1u);
}

// Largest errors, relative to the exact result.
double worst(const Operation& operation, double (*exact)(double), float from, float to, bool absolute) {
  double most = 0;
  for (int k = 0; k <= 20000; ++k) {
    float x = from + (to - from) * float(k) / 20000;
    double want = exact(x), got = operation.operator()<float>(x);
    double error = std::fabs(got - want);
    if (!absolute) error /= std::fabs(want);
    if (want != 0 || absolute) most = std::max(most, error);
  }
  return most;
}

TEST(Approximations, AreAsGoodAsTheIsaAsks) {
  Operation ex2("ff", "ex2.approx.f32 d, a;"), lg2("ff", "lg2.approx.f32 d, a;"),
      sine("ff", "sin.approx.f32 d, a;"), cosine("ff", "cos.approx.f32 d, a;"),
      tanh("ff", "tanh.approx.f32 d, a;"), rsqrt("ff", "rsqrt.approx.f32 d, a;"),
      rcp("ff", "rcp.approx.f32 d, a;");
  EXPECT_LT(worst(ex2, std::exp2, -126, 127, false), std::exp2(-22));
  EXPECT_LT(worst(ex2, std::exp2, -1, 1, false), std::exp2(-22));
  EXPECT_LT(worst(lg2, std::log2, 0.5f, 2, true), std::exp2(-22));
  EXPECT_LT(worst(lg2, std::log2, 2, 1e30f, false), std::exp2(-22));
  EXPECT_LT(worst(sine, std::sin, -3.1415927f, 3.1415927f, true), std::exp2(-20.5));
  EXPECT_LT(worst(cosine, std::cos, -3.1415927f, 3.1415927f, true), std::exp2(-20.5));
  EXPECT_LT(worst(sine, std::sin, -1000, 1000, true), std::exp2(-20.5));
  EXPECT_LT(worst(tanh, std::tanh, -8, 8, false), std::exp2(-11));
  EXPECT_LT(worst(rsqrt, [](double x) { return 1 / std::sqrt(x); }, 1e-30f, 1e30f, false), std::exp2(-22.9));
  EXPECT_LT(worst(rsqrt, [](double x) { return 1 / std::sqrt(x); }, 0.5f, 8, false), std::exp2(-22.9));
  EXPECT_LT(worst(rcp, [](double x) { return 1 / x; }, 0.01f, 100, false), std::exp2(-23));
}

TEST(Approximations, KeepTheirSpecialValues) {
  Operation ex2("ff", "ex2.approx.f32 d, a;"), lg2("ff", "lg2.approx.f32 d, a;"),
      rsqrt("ff", "rsqrt.approx.f32 d, a;"), sine("ff", "sin.approx.f32 d, a;"),
      tanh("ff", "tanh.approx.f32 d, a;");
  EXPECT_EQ(ex2.operator()<float>(-kInf), 0.0f);
  EXPECT_EQ(ex2.operator()<float>(kInf), kInf);
  EXPECT_EQ(ex2.operator()<float>(0.0f), 1.0f);
  EXPECT_EQ(ex2.operator()<float>(-149.0f), std::ldexp(1.0f, -149));
  EXPECT_EQ((ex2.operator()<uint32_t>(kNan)), 0x7fffffffu);
  EXPECT_EQ(lg2.operator()<float>(0.0f), -kInf);
  EXPECT_EQ(lg2.operator()<float>(-0.0f), -kInf);
  EXPECT_EQ(lg2.operator()<float>(kInf), kInf);
  EXPECT_EQ(lg2.operator()<float>(1.0f), 0.0f);
  EXPECT_EQ(lg2.operator()<float>(8.0f), 3.0f);
  EXPECT_EQ(lg2.operator()<float>(std::ldexp(1.0f, -140)), -140.0f);
  EXPECT_EQ((lg2.operator()<uint32_t>(-1.0f)), 0x7fffffffu);
  EXPECT_EQ(rsqrt.operator()<float>(0.0f), kInf);
  EXPECT_EQ(rsqrt.operator()<float>(-0.0f), -kInf);
  EXPECT_EQ(rsqrt.operator()<float>(kInf), 0.0f);
  EXPECT_EQ(rsqrt.operator()<float>(4.0f), 0.5f);
  EXPECT_EQ((rsqrt.operator()<uint32_t>(-1.0f)), 0x7fffffffu);
  EXPECT_TRUE(std::isnan(sine.operator()<float>(kInf)));
  EXPECT_EQ(bits(sine.operator()<float>(-0.0f)), bits(-0.0f));
  EXPECT_EQ(tanh.operator()<float>(kInf), 1.0f);
  EXPECT_EQ(tanh.operator()<float>(-kInf), -1.0f);
}

}  // namespace
}  // namespace vgpu::jit
