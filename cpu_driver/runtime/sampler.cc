#include "cpu_driver/runtime/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace vgpu::cpu {
namespace {

using kernel::Registers4;

// A texel's components, converted: floats, or the bits of integers.
struct Texel {
  float value[4] = {0, 0, 0, 1};
  int32_t bits[4] = {0, 0, 0, 1};
};

// One level of a texture.
struct Level {
  Layout layout;
  int64_t extent[3];  // 1 where a dimension is not there; for layers the layers
};

bool readsIntegers(const Texture& texture) {
  switch (texture.source.format) {
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
      return true;
    case CU_AD_FORMAT_FLOAT:
    case CU_AD_FORMAT_HALF:
      return false;
    default:
      return (texture.description.flags & CU_TRSF_READ_AS_INTEGER) != 0;
  }
}

float halfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

template <class T>
T loadAs(const std::byte* address) {
  T value;
  std::memcpy(&value, address, sizeof value);
  return value;
}

// Appendix "Texture Fetching": integers of 8 and 16 bits read as floats lie in [0, 1] or [-1, 1].
template <class T>
void convert(const std::byte* address, bool integers, float& value, int32_t& bits) {
  const T raw = loadAs<T>(address);
  bits = static_cast<int32_t>(raw);  // NOLINT(bugprone-signed-char-misuse): a signed texel keeps its sign
  if (integers) return;
  value = std::max(-1.0f, static_cast<float>(raw) / static_cast<float>(std::numeric_limits<T>::max()));
}

void convertChannel(CUarray_format format, const std::byte* address, bool integers, float& value,
                    int32_t& bits) {
  switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
      return convert<uint8_t>(address, integers, value, bits);
    case CU_AD_FORMAT_SIGNED_INT8:
      return convert<int8_t>(address, integers, value, bits);
    case CU_AD_FORMAT_UNSIGNED_INT16:
      return convert<uint16_t>(address, integers, value, bits);
    case CU_AD_FORMAT_SIGNED_INT16:
      return convert<int16_t>(address, integers, value, bits);
    case CU_AD_FORMAT_HALF:
      value = halfToFloat(loadAs<uint16_t>(address));
      return;
    case CU_AD_FORMAT_FLOAT:
      value = loadAs<float>(address);
      return;
    default:
      bits = loadAs<int32_t>(address);
      return;
  }
}

// IEC 61966-2-1: what an encoded colour stands for, both from 0 to 1.
float decodedSrgb(float encoded) {
  return encoded <= 0.04045f ? encoded / 12.92f : std::pow((encoded + 0.055f) / 1.055f, 2.4f);
}

Texel loadTexel(const Texture& texture, const std::byte* address) {
  Texel texel;
  const TextureSource& source = texture.source;
  const bool integers = readsIntegers(texture);
  const unsigned bytes = source.elementBytes / source.channels;
  for (unsigned i = 0; i < source.channels; ++i) {
    convertChannel(source.format, address + i * bytes, integers, texel.value[i], texel.bits[i]);
  }
  // Before filtering; the fourth channel is no colour.
  if (texture.description.flags & CU_TRSF_SRGB) {
    for (unsigned i = 0; i < std::min(source.channels, 3u); ++i) texel.value[i] = decodedSrgb(texel.value[i]);
  }
  return texel;
}

Texel borderTexel(const Texture& texture) {
  Texel texel;
  for (unsigned i = 0; i < 4; ++i) {
    texel.value[i] = texture.description.borderColor[i];
    texel.bits[i] = static_cast<int32_t>(texture.description.borderColor[i]);
  }
  return texel;
}

Level levelOf(const Texture& texture, size_t number) {
  const TextureSource& source = texture.source;
  const auto extent = [](size_t n) { return static_cast<int64_t>(std::max<size_t>(1, n)); };
  if (source.levels.empty()) {
    return {source.layout, {extent(source.width), extent(source.height), extent(source.depth)}};
  }
  const Array& array = *source.levels[std::min(number, source.levels.size() - 1)];
  return {
      array.layout,
      {extent(array.description.Width), extent(array.description.Height), extent(array.description.Depth)}};
}

// An index outside, brought inside as the mode says; -1: the border. Wrap and mirror need normalized
// coordinates, and clamp where there are none.
int64_t address(CUaddress_mode mode, bool normalized, int64_t index, int64_t extent) {
  if (index >= 0 && index < extent) return index;
  if (mode == CU_TR_ADDRESS_MODE_BORDER) return -1;
  if (normalized && mode == CU_TR_ADDRESS_MODE_WRAP) {
    const int64_t rest = index % extent;
    return rest < 0 ? rest + extent : rest;
  }
  if (normalized && mode == CU_TR_ADDRESS_MODE_MIRROR) {
    int64_t rest = index % (2 * extent);
    if (rest < 0) rest += 2 * extent;
    return rest < extent ? rest : 2 * extent - 1 - rest;
  }
  return index < 0 ? 0 : extent - 1;
}

bool isNormalized(const Texture& texture) {
  return (texture.description.flags & CU_TRSF_NORMALIZED_COORDINATES) != 0;
}

Texel texelAt(const Texture& texture, const Level& level, const TexturePoint& point,
              const int64_t (&index)[3]) {
  int64_t at[3] = {};
  for (unsigned i = 0; i < point.dimensions; ++i) {
    at[i] = address(texture.description.addressMode[i], isNormalized(texture), index[i], level.extent[i]);
    if (at[i] < 0) return borderTexel(texture);
  }
  if (point.layered) at[2] = std::min<int64_t>(point.layer, level.extent[2] - 1);
  const Layout& layout = level.layout;
  return loadTexel(texture, layout.base + static_cast<size_t>(at[2]) * layout.sliceBytes +
                                static_cast<size_t>(at[1]) * layout.pitchBytes +
                                static_cast<size_t>(at[0]) * texture.source.elementBytes);
}

// Large enough for any texture, small enough that arithmetic on it cannot overflow. NaN becomes 0.
constexpr float kFarthest = 1 << 30;

float scaled(const Texture& texture, const Level& level, const TexturePoint& point, unsigned dimension) {
  float x = point.at[dimension];
  if (isNormalized(texture) && !point.integer) {
    const CUaddress_mode mode = texture.description.addressMode[dimension];
    // Far coordinates keep their fraction only if the whole part goes before they are scaled.
    if (mode == CU_TR_ADDRESS_MODE_WRAP) x -= std::floor(x);
    x *= static_cast<float>(level.extent[dimension]);
  }
  return x != x ? 0.0f : std::clamp(x, -kFarthest, kFarthest);
}

Texel samplePoint(const Texture& texture, const Level& level, const TexturePoint& point) {
  int64_t index[3] = {};
  for (unsigned i = 0; i < point.dimensions; ++i) {
    index[i] =
        point.integer ? point.index[i] : static_cast<int64_t>(std::floor(scaled(texture, level, point, i)));
  }
  return texelAt(texture, level, point, index);
}

// Appendix "Texture Fetching", "Linear Filtering": the weights have 8 bits of fraction, and 1 is exact.
float weight(float fraction) { return std::floor(fraction * 256 + 0.5f) / 256; }

Texel sampleLinear(const Texture& texture, const Level& level, const TexturePoint& point) {
  int64_t base[3] = {};
  float alpha[3] = {};
  for (unsigned i = 0; i < point.dimensions; ++i) {
    const float x = scaled(texture, level, point, i) - 0.5f;
    base[i] = static_cast<int64_t>(std::floor(x));
    alpha[i] = weight(x - std::floor(x));
  }
  Texel sum;
  std::fill(std::begin(sum.value), std::end(sum.value), 0.0f);
  for (unsigned corner = 0; corner < 1u << point.dimensions; ++corner) {
    int64_t index[3] = {};
    float factor = 1;
    for (unsigned i = 0; i < point.dimensions; ++i) {
      const bool upper = corner >> i & 1;
      index[i] = base[i] + (upper ? 1 : 0);
      factor *= upper ? alpha[i] : 1 - alpha[i];
    }
    if (factor == 0) continue;
    const Texel texel = texelAt(texture, level, point, index);
    for (unsigned i = 0; i < 4; ++i) sum.value[i] += factor * texel.value[i];
  }
  return sum;
}

Texel sampleLevel(const Texture& texture, const TexturePoint& point, size_t number) {
  const Level level = levelOf(texture, number);
  const bool linear = texture.description.filterMode == CU_TR_FILTER_MODE_LINEAR && !point.integer;
  return linear ? sampleLinear(texture, level, point) : samplePoint(texture, level, point);
}

Registers4 registersOf(const Texture& texture, const Texel& texel) {
  Registers4 result;
  const bool integers = readsIntegers(texture);
  for (unsigned i = 0; i < 4; ++i)
    result[i] = integers ? texel.bits[i] : std::bit_cast<int32_t>(texel.value[i]);
  return result;
}

// Linear memory has no addressing modes: what lies outside reads as zero.
bool outsideLinearMemory(const Texture& texture, const TexturePoint& point) {
  if (texture.source.resource.resType != CU_RESOURCE_TYPE_LINEAR) return false;
  const int64_t index = point.integer
                            ? point.index[0]
                            : static_cast<int64_t>(std::floor(std::clamp(point.at[0], -1.0f, kFarthest)));
  return index < 0 || index >= static_cast<int64_t>(texture.source.width);
}

}  // namespace

Registers4 sampleTexture(const Texture& texture, const TexturePoint& point, float level) {
  if (outsideLinearMemory(texture, point)) return Registers4{};
  const size_t levels = texture.source.levels.size();
  if (levels < 2) return registersOf(texture, sampleLevel(texture, point, 0));
  const CUDA_TEXTURE_DESC& description = texture.description;
  level = std::clamp(level + description.mipmapLevelBias, description.minMipmapLevelClamp,
                     std::max(description.minMipmapLevelClamp, description.maxMipmapLevelClamp));
  level = level != level ? 0.0f : std::clamp(level, 0.0f, static_cast<float>(levels - 1));
  if (description.mipmapFilterMode == CU_TR_FILTER_MODE_POINT || readsIntegers(texture)) {
    return registersOf(texture, sampleLevel(texture, point, static_cast<size_t>(std::lround(level))));
  }
  const auto lower = static_cast<size_t>(level);
  const float alpha = weight(level - static_cast<float>(lower));
  Texel mixed = sampleLevel(texture, point, lower);
  if (alpha > 0) {
    const Texel upper = sampleLevel(texture, point, lower + 1);
    for (unsigned i = 0; i < 4; ++i) mixed.value[i] += alpha * (upper.value[i] - mixed.value[i]);
  }
  return registersOf(texture, mixed);
}

// PTX ISA, tld4: the four texels counter-clockwise from the lower left.
Registers4 gatherTexels(const Texture& texture, const TexturePoint& point, unsigned component) {
  const Level level = levelOf(texture, 0);
  int64_t base[2];
  for (unsigned i = 0; i < 2; ++i)
    base[i] = static_cast<int64_t>(std::floor(scaled(texture, level, point, i) - 0.5f));
  constexpr int kOffsets[4][2] = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
  Registers4 result{};
  for (unsigned i = 0; i < 4; ++i) {
    const int64_t index[3] = {base[0] + kOffsets[i][0], base[1] + kOffsets[i][1], 0};
    result[i] = registersOf(texture, texelAt(texture, level, point, index))[component & 3];
  }
  return result;
}

float levelOfGradients(const Texture& texture, const float (&gradients)[4]) {
  const Level level = levelOf(texture, 0);
  const bool normalized = isNormalized(texture);
  const float width = normalized ? static_cast<float>(level.extent[0]) : 1;
  const float height = normalized ? static_cast<float>(level.extent[1]) : 1;
  const float x = std::hypot(gradients[0] * width, gradients[1] * height);
  const float y = std::hypot(gradients[2] * width, gradients[3] * height);
  const float longest = std::max(x, y);
  return longest > 0 ? std::log2(longest) : 0.0f;
}

// Programming guide, "Cubemap Textures": the face is that of the longest coordinate, on it (s/m + 1) / 2,
// (t/m + 1) / 2.
void toCubeFace(TexturePoint& point) {
  const float x = point.at[0], y = point.at[1], z = point.at[2];
  const float ax = std::fabs(x), ay = std::fabs(y), az = std::fabs(z);
  uint32_t face;
  float m, s, t;
  if (ax >= ay && ax >= az) {
    face = x >= 0 ? 0 : 1, m = ax, s = x >= 0 ? -z : z, t = -y;
  } else if (ay >= az) {
    face = y >= 0 ? 2 : 3, m = ay, s = x, t = y >= 0 ? z : -z;
  } else {
    face = z >= 0 ? 4 : 5, m = az, s = z >= 0 ? x : -x, t = -y;
  }
  point.at[0] = (s / m + 1) / 2;
  point.at[1] = (t / m + 1) / 2;
  point.layer = point.layer * 6 + face;
  point.layered = true;
  point.dimensions = 2;
}

}  // namespace vgpu::cpu
