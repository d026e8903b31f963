// cvt, f16, bf16 and fp8 against C++ and the compiler's own half types.
#include <bit>
#include <cfenv>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu_driver/jit/translate/translate_testing.h"

namespace vgpu::jit {
namespace {

using testing::Operation;

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

float half(uint16_t bits) { return float(std::bit_cast<_Float16>(bits)); }
uint16_t halfBits(double value) {
  if (std::isnan(value)) return 0x7fff;
  return std::bit_cast<uint16_t>(_Float16(value));
}

TEST(Convert, FloatToIntegerSaturates) {
  Operation rzi("rf", "cvt.rzi.s32.f32 d, a;"), rni("rf", "cvt.rni.s32.f32 d, a;"),
      rmi("rf", "cvt.rmi.s32.f32 d, a;"), u("rf", "cvt.rzi.u32.f32 d, a;"), s8("rf", "cvt.rni.s8.f32 d, a;"),
      l("lf", "cvt.rzi.s64.f32 d, a;"), ul("ld", "cvt.rpi.u64.f64 d, a;");
  EXPECT_EQ(rzi.operator()<int>(3.99f), 3);
  EXPECT_EQ(rzi.operator()<int>(-3.99f), -3);
  EXPECT_EQ(rni.operator()<int>(2.5f), 2);
  EXPECT_EQ(rni.operator()<int>(3.5f), 4);
  EXPECT_EQ(rmi.operator()<int>(-0.5f), -1);
  EXPECT_EQ(rzi.operator()<int>(1e20f), INT32_MAX);
  EXPECT_EQ(rzi.operator()<int>(-kInf), INT32_MIN);
  EXPECT_EQ(rzi.operator()<int>(kNan), 0);
  EXPECT_EQ(u.operator()<uint32_t>(-1.0f), 0u);
  EXPECT_EQ(u.operator()<uint32_t>(5e9f), UINT32_MAX);
  EXPECT_EQ(s8.operator()<int>(-1000.0f), -128);
  EXPECT_EQ(s8.operator()<int>(127.4f), 127);
  EXPECT_EQ(l.operator()<int64_t>(-9.9e18f), INT64_MIN);
  EXPECT_EQ(l.operator()<int64_t>(kNan), INT64_MIN);
  EXPECT_EQ(ul.operator()<uint64_t>(double(kNan)), uint64_t{1} << 63);
  EXPECT_EQ(ul.operator()<uint64_t>(1.25), 2u);
}

TEST(Convert, IntegersToFloatRoundAsAsked) {
  struct {
    const char* name;
    int mode;
  } modes[] = {{"rn", FE_TONEAREST}, {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};
  for (auto [name, mode] : modes) {
    std::string m = name;
    Operation s("fr", "cvt." + m + ".f32.s32 d, a;"), l("fl", "cvt." + m + ".f32.s64 d, a;"),
        ul("fl", "cvt." + m + ".f32.u64 d, a;"), dl("dl", "cvt." + m + ".f64.s64 d, a;");
    for (uint64_t value :
         {0ull, 1ull, 16777217ull, 0x7fffffffull, 0x80000001ull, 0xffffffffull, 0x7fffffffffffffffull,
          0x8000000000000001ull, 0xffffffffffffffffull, 0x0020000000000001ull, 0xffdfffffffffffffull}) {
      volatile int64_t v = int64_t(value);
      std::fesetround(mode);
      volatile float fs = float(int32_t(v)), fl = float(int64_t(v)), ful = float(uint64_t(v));
      volatile double d = double(int64_t(v));
      std::fesetround(FE_TONEAREST);
      EXPECT_EQ(s.operator()<float>(uint32_t(value)), fs) << value << m;
      EXPECT_EQ(l.operator()<float>(value), fl) << value << m;
      EXPECT_EQ(ul.operator()<float>(value), ful) << value << m;
      EXPECT_EQ(dl.operator()<double>(value), d) << value << m;
    }
  }
}

TEST(Convert, IntegersExtendTruncateAndSaturate) {
  Operation s8("rr", "cvt.s32.s8 d, a;"), u8("rr", "cvt.u32.u8 d, a;"), sat("rr", "cvt.sat.s8.s32 d, a;"),
      usat("rr", "cvt.sat.u16.s32 d, a;"), wide("lr", "cvt.s64.s32 d, a;"), narrow("rl", "cvt.u32.u64 d, a;"),
      trunc("rr", "cvt.s8.s32 d, a;");
  EXPECT_EQ(s8.operator()<int>(0x12345680u), -128);
  EXPECT_EQ(u8.operator()<int>(0x12345680u), 128);
  EXPECT_EQ(sat.operator()<int>(uint32_t(-300)), -128);
  EXPECT_EQ(sat.operator()<int>(300u), 127);
  EXPECT_EQ(usat.operator()<int>(uint32_t(-5)), 0);
  EXPECT_EQ(usat.operator()<int>(70000u), 65535);
  EXPECT_EQ(wide.operator()<int64_t>(0x80000000u), -2147483648ll);
  EXPECT_EQ(narrow.operator()<uint32_t>(0x123456789abcdef0ull), 0x9abcdef0u);
  EXPECT_EQ(trunc.operator()<int>(0x1ffu), -1);
}

TEST(Half, ConversionsOfEveryValue) {
  Operation widen("fh", "cvt.f32.f16 d, a;"), narrow("hf", "cvt.rn.f16.f32 d, a;"),
      fromDouble("hd", "cvt.rn.f16.f64 d, a;"), zero("hf", "cvt.rz.f16.f32 d, a;");
  for (uint32_t bits = 0; bits < 0x10000; bits += 7) {
    float value = half(uint16_t(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(widen.operator()<float>(uint16_t(bits)), value);
    EXPECT_EQ(narrow.operator()<uint16_t>(value), bits);
    float between = value * 1.0003f;
    EXPECT_EQ(narrow.operator()<uint16_t>(between), halfBits(between)) << between;
    EXPECT_EQ(fromDouble.operator()<uint16_t>(double(value) * (1 + 0x1p-11 + 0x1p-40)),
              halfBits(double(value) * (1 + 0x1p-11 + 0x1p-40)));
    if (std::isfinite(value))
      EXPECT_LE(std::fabs(half(zero.operator()<uint16_t>(between))), std::fabs(between));
  }
  EXPECT_EQ(narrow.operator()<uint16_t>(kNan), 0x7fff);
  EXPECT_EQ(narrow.operator()<uint16_t>(1e6f), 0x7c00);
}

TEST(Half, ArithmeticRoundsOnce) {
  Operation add("hhh", "add.rn.f16 d, a, b;"), mul("hhh", "mul.rn.f16 d, a, b;"),
      fma("hhhh", "fma.rn.f16 d, a, b, c;"), pair("rrr", "add.rn.f16x2 d, a, b;"),
      max("hhh", "max.f16 d, a, b;"), sat("hhhh", "fma.rn.sat.f16 d, a, b, c;");
  for (uint32_t a = 1; a < 0x7c00; a += 977) {
    for (uint32_t b = 3; b < 0x7c00; b += 877) {
      float x = half(uint16_t(a)), y = half(uint16_t(b));
      EXPECT_EQ(add.operator()<uint16_t>(uint16_t(a), uint16_t(b)), halfBits(double(x) + y));
      EXPECT_EQ(mul.operator()<uint16_t>(uint16_t(a), uint16_t(b)), halfBits(double(x) * y));
      EXPECT_EQ(fma.operator()<uint16_t>(uint16_t(a), uint16_t(b), uint16_t{0xbc00}),
                halfBits(double(x) * y - 1));
      uint32_t both = pair.operator()<uint32_t>(a | b << 16, b | a << 16);
      EXPECT_EQ(both & 0xffff, halfBits(double(x) + y));
      EXPECT_EQ(both >> 16, halfBits(double(x) + y));
      EXPECT_EQ(max.operator()<uint16_t>(uint16_t(a), uint16_t(b)), halfBits(std::max(x, y)));
      EXPECT_EQ(sat.operator()<uint16_t>(uint16_t(a), uint16_t(b), uint16_t{0}),
                halfBits(std::min(double(x) * y, 1.0)));
    }
  }
}

TEST(BFloat, ConversionsAndArithmetic) {
  Operation narrow("hf", "cvt.rn.bf16.f32 d, a;"), both("rff", "cvt.rn.bf16x2.f32 d, a, b;"),
      fma("hhhh", "fma.rn.bf16 d, a, b, c;"), relu("hf", "cvt.rn.relu.bf16.f32 d, a;");
  EXPECT_EQ(narrow.operator()<uint16_t>(1.0f), 0x3f80);
  EXPECT_EQ(narrow.operator()<uint16_t>(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // a tie, to even
  EXPECT_EQ(narrow.operator()<uint16_t>(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(narrow.operator()<uint16_t>(kNan), 0x7fff);
  EXPECT_EQ(narrow.operator()<uint16_t>(3.4e38f), 0x7f80);
  EXPECT_EQ(both.operator()<uint32_t>(1.0f, 2.0f), 0x3f804000u);
  EXPECT_EQ(fma.operator()<uint16_t>(uint16_t{0x4000}, uint16_t{0x4040}, uint16_t{0x3f80}),
            0x40e0);  // 2 * 3 + 1
  EXPECT_EQ(relu.operator()<uint16_t>(-2.0f), 0);
}

TEST(Fp8, ConversionsGoThereAndBack) {
  Operation to("hff", "cvt.rn.satfinite.e4m3x2.f32 d, a, b;"), from("rh", "cvt.rn.f16x2.e4m3x2 d, a;"),
      to5("hff", "cvt.rn.satfinite.e5m2x2.f32 d, a, b;"), from5("rh", "cvt.rn.f16x2.e5m2x2 d, a;");
  for (uint32_t bits = 0; bits < 256; ++bits) {
    uint32_t wide = from.operator()<uint32_t>(uint16_t(bits)),
             wide5 = from5.operator()<uint32_t>(uint16_t(bits));
    float value = half(uint16_t(wide)), value5 = half(uint16_t(wide5));
    if (!std::isnan(value)) EXPECT_EQ(to.operator()<uint16_t>(0.0f, value), bits) << bits;
    if (std::isfinite(value5)) EXPECT_EQ(to5.operator()<uint16_t>(0.0f, value5), bits) << bits;
  }
  EXPECT_EQ(to.operator()<uint16_t>(1e9f, 1.0f), 0x7e38);
  EXPECT_EQ(to.operator()<uint16_t>(kNan, -0.0f), 0x7f80);
}

}  // namespace
}  // namespace vgpu::jit
