// The number formats of matrix elements, as 32-bit floats or integers. Any thread; owns nothing.
#pragma once

#include <bit>
#include <cstdint>

#include "cpu_driver/kernel/matrix_operation.h"

namespace vgpu::kernel {

inline float floatOfHalf(uint32_t bits) {
  const uint32_t sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7fff) << 13;
  const uint32_t finite = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  return std::bit_cast<float>(sign | ((bits & 0x7c00) == 0x7c00 ? magnitude | 0x7f800000 : finite));
}

// To the nearest, ties to even; NaNs become the canonical one.
inline uint32_t halfOfFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000,
                 magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7fff;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // Half of a last place of 2^-24 is what the sum with 0.5 rounds off.
  if (magnitude < 0x38800000)
    return sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000);
  return sign | (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
}

inline float floatOfE4m3(uint32_t bits) {
  const uint32_t exponent = bits >> 3 & 15, fraction = bits & 7;
  float value = exponent == 0 ? static_cast<float>(fraction) * 0x1p-9f
                              : std::bit_cast<float>((exponent + 120) << 23 | fraction << 20);
  if ((bits & 0x7f) == 0x7f) value = std::bit_cast<float>(0x7fffffffu);
  return (bits & 0x80) != 0 ? -value : value;
}

// `bits` hold one element in their low end.
inline float floatOf(MatrixElement element, uint32_t bits) {
  switch (element) {
    case MatrixElement::F16:
      return floatOfHalf(bits & 0xffff);
    case MatrixElement::BF16:
      return std::bit_cast<float>(bits << 16);
    case MatrixElement::TF32:
      return std::bit_cast<float>(bits & 0xffffe000);  // the other bits are not looked at
    case MatrixElement::E4M3:
      return floatOfE4m3(bits & 0xff);
    case MatrixElement::E5M2:
      return floatOfHalf(bits << 8 & 0xff00);
    default:
      return std::bit_cast<float>(bits);
  }
}

inline int32_t integerOf(MatrixElement element, uint32_t bits) {
  switch (element) {
    case MatrixElement::S8:
      return static_cast<int8_t>(bits);
    case MatrixElement::U8:
      return static_cast<uint8_t>(bits);
    case MatrixElement::S4:
      return static_cast<int32_t>(bits << 28) >> 28;
    default:
      return static_cast<int32_t>(bits & 15);
  }
}

inline uint32_t canonicalBits(float value) {
  return value != value ? 0x7fffffff : std::bit_cast<uint32_t>(value);
}

}  // namespace vgpu::kernel
