// Integer arithmetic and bits, as the PTX ISA words them, against C++.
#include <bit>
#include <limits>
#include <vector>

#include "cpu_driver/jit/translate/translate_testing.h"

namespace vgpu::jit {
namespace {

using testing::Operation;

const std::vector<uint32_t> kWords = {
    0,   1,   2,          3,          5,          31,         32,         33,         63,         64,
    255, 256, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0xfffffffe, 0x12345678, 0xdeadbeef, 0x00ff00ff};
const std::vector<uint64_t> kLongs = {0,
                                      1,
                                      7,
                                      63,
                                      64,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      0xffffffffffffffff,
                                      0x123456789abcdef0,
                                      0xfedcba9876543210};

TEST(IntegerArithmetic, AdditionWrapsAndSaturates) {
  Operation add("rrr", "add.s32 d, a, b;"), sat("rrr", "add.sat.s32 d, a, b;"),
      sub("rrr", "sub.sat.s32 d, a, b;");
  for (uint32_t a : kWords) {
    for (uint32_t b : kWords) {
      EXPECT_EQ(add.operator()<uint32_t>(a, b), a + b);
      int64_t sum = int64_t(int32_t(a)) + int32_t(b), difference = int64_t(int32_t(a)) - int32_t(b);
      EXPECT_EQ(sat.operator()<int32_t>(a, b), int32_t(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX)));
      EXPECT_EQ(sub.operator()<int32_t>(a, b),
                int32_t(std::clamp<int64_t>(difference, INT32_MIN, INT32_MAX)));
    }
  }
}

TEST(IntegerArithmetic, ProductsHaveAllTheirParts) {
  Operation lo("rrr", "mul.lo.s32 d, a, b;"), hi("rrr", "mul.hi.s32 d, a, b;"),
      uhi("rrr", "mul.hi.u32 d, a, b;");
  Operation wide("lrr", "mul.wide.s32 d, a, b;"), uwide("lrr", "mul.wide.u32 d, a, b;"),
      mad("lrrl", "mad.wide.s32 d, a, b, c;");
  for (uint32_t a : kWords) {
    for (uint32_t b : kWords) {
      int64_t product = int64_t(int32_t(a)) * int32_t(b);
      uint64_t uproduct = uint64_t{a} * b;
      EXPECT_EQ(lo.operator()<uint32_t>(a, b), uint32_t(uproduct));
      EXPECT_EQ(hi.operator()<uint32_t>(a, b), uint32_t(product >> 32));
      EXPECT_EQ(uhi.operator()<uint32_t>(a, b), uint32_t(uproduct >> 32));
      EXPECT_EQ(wide.operator()<int64_t>(a, b), product);
      EXPECT_EQ(uwide.operator()<uint64_t>(a, b), uproduct);
      EXPECT_EQ(mad.operator()<uint64_t>(a, b, uint64_t{10}), uint64_t(product) + 10);
    }
  }
  Operation hi64("lll", "mul.hi.s64 d, a, b;"), uhi64("lll", "mul.hi.u64 d, a, b;");
  for (uint64_t a : kLongs) {
    for (uint64_t b : kLongs) {
      EXPECT_EQ(hi64.operator()<uint64_t>(a, b), uint64_t((__int128(int64_t(a)) * int64_t(b)) >> 64));
      EXPECT_EQ(uhi64.operator()<uint64_t>(a, b), uint64_t((static_cast<unsigned __int128>(a) * b) >> 64));
    }
  }
}

TEST(IntegerArithmetic, DivisionByZeroAndOverflowAreDefined) {
  Operation div("rrr", "div.s32 d, a, b;"), udiv("rrr", "div.u32 d, a, b;"), rem("rrr", "rem.s32 d, a, b;"),
      urem("rrr", "rem.u32 d, a, b;");
  for (uint32_t a : kWords) {
    for (uint32_t b : kWords) {
      int64_t q = b ? int64_t(int32_t(a)) / int32_t(b) : -1,
              r = b ? int64_t(int32_t(a)) % int32_t(b) : int32_t(a);
      EXPECT_EQ(div.operator()<uint32_t>(a, b), uint32_t(q)) << a << " / " << b;
      EXPECT_EQ(rem.operator()<uint32_t>(a, b), uint32_t(r));
      EXPECT_EQ(udiv.operator()<uint32_t>(a, b), b ? a / b : UINT32_MAX);
      EXPECT_EQ(urem.operator()<uint32_t>(a, b), b ? a % b : a);
    }
  }
}

TEST(IntegerArithmetic, CarriesChain) {
  Operation add("llll", "{ .reg .b64 lo, hi; add.cc.u64 lo, a, b; addc.u64 d, c, 0; }"),
      sub("llll", "{ .reg .b64 lo, hi; sub.cc.u64 lo, a, b; subc.u64 d, c, 0; }"),
      mad("rrrr", "{ .reg .b32 lo; mad.lo.cc.u32 lo, a, b, c; madc.hi.u32 d, a, b, 0; }");
  for (uint64_t a : kLongs) {
    for (uint64_t b : kLongs) {
      EXPECT_EQ(add.operator()<uint64_t>(a, b, uint64_t{40}), 40 + (a + b < a));
      EXPECT_EQ(sub.operator()<uint64_t>(a, b, uint64_t{40}), 40 - (a < b));
    }
  }
  for (uint32_t a : kWords) {
    for (uint32_t b : kWords) {
      uint64_t exact = uint64_t{a} * b + 0x90000000u;
      EXPECT_EQ(mad.operator()<uint32_t>(a, b, 0x90000000u), uint32_t(exact >> 32));
    }
  }
}

TEST(Bits, ShiftsPastTheWidthAreClamped) {
  Operation shl("rrr", "shl.b32 d, a, b;"), shr("rrr", "shr.u32 d, a, b;"), sar("rrr", "shr.s32 d, a, b;"),
      shl64("llr", "shl.b64 d, a, b;");
  Operation left("rrrr", "shf.l.clamp.b32 d, a, b, c;"), right("rrrr", "shf.r.wrap.b32 d, a, b, c;");
  for (uint32_t a : kWords) {
    for (uint32_t b : kWords) {
      EXPECT_EQ(shl.operator()<uint32_t>(a, b), b > 31 ? 0 : a << b);
      EXPECT_EQ(shr.operator()<uint32_t>(a, b), b > 31 ? 0 : a >> b);
      EXPECT_EQ(sar.operator()<int32_t>(a, b), int32_t(a) >> std::min(b, 31u));
      EXPECT_EQ(shl64.operator()<uint64_t>(uint64_t{a}, b), b > 63 ? 0 : uint64_t{a} << b);
      uint64_t funnel = uint64_t{b} << 32 | a;
      for (uint32_t c : {0u, 1u, 31u, 32u, 40u}) {
        uint32_t clamped = std::min(c, 32u);
        EXPECT_EQ(left.operator()<uint32_t>(a, b, c), uint32_t(funnel << clamped >> 32));
        EXPECT_EQ(right.operator()<uint32_t>(a, b, c), uint32_t(funnel >> (c & 31)));
      }
    }
  }
}

// The ISA's own pseudo-code.
template <class Word>
Word bfe(Word a, uint32_t b, uint32_t c, bool isSigned) {
  int msb = int(sizeof(Word) * 8) - 1, pos = int(b & 255), len = int(c & 255);
  bool sign = isSigned && len != 0 && (a >> std::min(pos + len - 1, msb) & 1);
  Word d = 0;
  for (int i = 0; i <= msb; ++i) {
    bool bit = i < len && pos + i <= msb ? a >> (pos + i) & 1 : sign;
    d |= Word{bit} << i;
  }
  return d;
}

TEST(Bits, FieldsFollowTheIsa) {
  Operation u("rrrr", "bfe.u32 d, a, b, c;"), s("rrrr", "bfe.s32 d, a, b, c;"),
      s64("llrr", "bfe.s64 d, a, b, c;");
  Operation insert("rrrrr", "bfi.b32 d, a, b, c, e;");
  for (uint32_t a : kWords) {
    for (uint32_t pos : {0u, 1u, 8u, 31u, 32u, 63u, 200u, 256u}) {
      for (uint32_t len : {0u, 1u, 5u, 31u, 32u, 33u, 255u}) {
        EXPECT_EQ(u.operator()<uint32_t>(a, pos, len), bfe(a, pos, len, false));
        EXPECT_EQ(s.operator()<uint32_t>(a, pos, len), bfe(a, pos, len, true))
            << a << " " << pos << " " << len;
        uint64_t wide = uint64_t{a} << 32 | ~a;
        EXPECT_EQ(s64.operator()<uint64_t>(wide, pos, len), bfe(wide, pos, len, true));
        uint32_t f = 0x0f0f1234;
        for (uint32_t i = 0; i < (len & 255) && (pos & 255) + i <= 31; ++i) {
          uint32_t bit = uint32_t{1} << ((pos & 255) + i);
          f = (f & ~bit) | (a >> i & 1 ? bit : 0);
        }
        EXPECT_EQ(insert.operator()<uint32_t>(a, 0x0f0f1234u, pos, len), f);
      }
    }
  }
}

TEST(Bits, CountsAndPermutations) {
  Operation popc("rr", "popc.b32 d, a;"), clz("rr", "clz.b32 d, a;"), brev("rr", "brev.b32 d, a;"),
      find("rr", "bfind.u32 d, a;"), sfind("rr", "bfind.s32 d, a;"), clz64("rl", "clz.b64 d, a;"),
      prmt("rrrr", "prmt.b32 d, a, b, c;");
  for (uint32_t a : kWords) {
    EXPECT_EQ(popc.operator()<int>(a), std::popcount(a));
    EXPECT_EQ(clz.operator()<int>(a), std::countl_zero(a));
    EXPECT_EQ(clz64.operator()<int>(uint64_t{a}), 32 + std::countl_zero(a));
    EXPECT_EQ(find.operator()<uint32_t>(a), a ? 31u - uint32_t(std::countl_zero(a)) : UINT32_MAX);
    uint32_t positive = int32_t(a) < 0 ? ~a : a;
    EXPECT_EQ(sfind.operator()<uint32_t>(a),
              positive ? 31u - uint32_t(std::countl_zero(positive)) : UINT32_MAX);
    uint32_t reversed = 0;
    for (int i = 0; i < 32; ++i) reversed |= (a >> i & 1) << (31 - i);
    EXPECT_EQ(brev.operator()<uint32_t>(a), reversed);
    EXPECT_EQ(prmt.operator()<uint32_t>(a, 0x80112233u, 0x7654u), 0x80112233u);
    EXPECT_EQ(prmt.operator()<uint32_t>(0x11223344u, 0x80112233u, 0xf0f1u), 0xff44ff33u);
  }
}

TEST(Bits, FindNthSetFollowsTheIsa) {
  Operation fns("rrrr", "fns.b32 d, a, b, c;");
  for (uint32_t mask : kWords) {
    for (uint32_t base : {0u, 1u, 5u, 16u, 31u, 32u}) {
      for (int offset = -33; offset <= 33; offset += 3) {
        uint32_t d = UINT32_MAX;
        if (offset == 0) {
          if (base < 32 && mask >> base & 1) d = base;
        } else {
          int pos = int(base), count = std::abs(offset) - 1, step = offset > 0 ? 1 : -1;
          for (; pos >= 0 && pos < 32; pos += step) {
            if (!(mask >> pos & 1)) continue;
            if (count-- == 0) {
              d = uint32_t(pos);
              break;
            }
          }
        }
        EXPECT_EQ(fns.operator()<uint32_t>(mask, base, offset), d) << mask << " " << base << " " << offset;
      }
    }
  }
}

TEST(Video, LanesAreApart) {
  Operation difference("rrr", "vabsdiff4.u32.u32.u32 d, a, b, 0;"),
      sum("rrrr", "vabsdiff4.u32.u32.u32.add d, a, b, c;"), sat("rrr", "vadd2.s32.s32.s32.sat d, a, b, 0;"),
      max("rrr", "vmax4.s32.s32.s32 d, a, b, 0;");
  EXPECT_EQ(difference.operator()<uint32_t>(0x00ff10f0u, 0xff00200fu), 0xffff10e1u);
  EXPECT_EQ(sum.operator()<uint32_t>(0x00ff10f0u, 0xff00200fu, 1u), 255u + 255 + 16 + 225 + 1);
  EXPECT_EQ(sat.operator()<uint32_t>(0x7fff8000u, 0x0001ffffu), 0x7fff8000u);
  EXPECT_EQ(max.operator()<uint32_t>(0x807f01ffu, 0x7f8000feu), 0x7f7f01ffu);
}

TEST(Bits, LogicTablesAndDotProducts) {
  Operation lop("rrrr", "lop3.b32 d, a, b, c, 0x96;"), majority("rrrr", "lop3.b32 d, a, b, c, 0xe8;");
  Operation dp4a("rrrr", "dp4a.s32.u32 d, a, b, c;"), bmsk("rrr", "bmsk.clamp.b32 d, a, b;"),
      szext("rrr", "szext.wrap.s32 d, a, b;");
  for (uint32_t a : kWords) {
    for (uint32_t b : kWords) {
      uint32_t c = 0x0ff0f00f;
      EXPECT_EQ(lop.operator()<uint32_t>(a, b, c), a ^ b ^ c);
      EXPECT_EQ(majority.operator()<uint32_t>(a, b, c), (a & b) | (b & c) | (a & c));
      uint32_t sum = c;
      for (int k = 0; k < 4; ++k) sum += uint32_t(int32_t(int8_t(a >> 8 * k)) * int32_t(uint8_t(b >> 8 * k)));
      EXPECT_EQ(dp4a.operator()<uint32_t>(a, b, c), sum);
      uint64_t ones = b >= 32 ? UINT32_MAX : (uint64_t{1} << b) - 1;
      EXPECT_EQ(bmsk.operator()<uint32_t>(a, b), a >= 32 ? 0 : uint32_t(ones << a));
      uint32_t n = b & 31;
      EXPECT_EQ(szext.operator()<int32_t>(a, b), n ? int32_t(a << (32 - n)) >> (32 - n) : 0);
    }
  }
}

}  // namespace
}  // namespace vgpu::jit
