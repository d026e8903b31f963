#include "shim/cudart/channel.h"

#include <array>

namespace vgpu::cudart {
namespace {

struct PlainFormat {
  CUarray_format format;
  int bits;
  cudaChannelFormatKind kind;
};

constexpr std::array kPlain = {
    PlainFormat{CU_AD_FORMAT_UNSIGNED_INT8, 8, cudaChannelFormatKindUnsigned},
    PlainFormat{CU_AD_FORMAT_UNSIGNED_INT16, 16, cudaChannelFormatKindUnsigned},
    PlainFormat{CU_AD_FORMAT_UNSIGNED_INT32, 32, cudaChannelFormatKindUnsigned},
    PlainFormat{CU_AD_FORMAT_SIGNED_INT8, 8, cudaChannelFormatKindSigned},
    PlainFormat{CU_AD_FORMAT_SIGNED_INT16, 16, cudaChannelFormatKindSigned},
    PlainFormat{CU_AD_FORMAT_SIGNED_INT32, 32, cudaChannelFormatKindSigned},
    PlainFormat{CU_AD_FORMAT_HALF, 16, cudaChannelFormatKindFloat},
    PlainFormat{CU_AD_FORMAT_FLOAT, 32, cudaChannelFormatKindFloat},
};

// Formats that the runtime names as a whole: bits of a channel and the count of channels follow from the
// kind.
struct NamedFormat {
  CUarray_format format;
  unsigned channels;
  int bits;
  cudaChannelFormatKind kind;
};

constexpr std::array kNamed = {
    NamedFormat{CU_AD_FORMAT_UNORM_INT8X1, 1, 8, cudaChannelFormatKindUnsignedNormalized8X1},
    NamedFormat{CU_AD_FORMAT_UNORM_INT8X2, 2, 8, cudaChannelFormatKindUnsignedNormalized8X2},
    NamedFormat{CU_AD_FORMAT_UNORM_INT8X4, 4, 8, cudaChannelFormatKindUnsignedNormalized8X4},
    NamedFormat{CU_AD_FORMAT_UNORM_INT16X1, 1, 16, cudaChannelFormatKindUnsignedNormalized16X1},
    NamedFormat{CU_AD_FORMAT_UNORM_INT16X2, 2, 16, cudaChannelFormatKindUnsignedNormalized16X2},
    NamedFormat{CU_AD_FORMAT_UNORM_INT16X4, 4, 16, cudaChannelFormatKindUnsignedNormalized16X4},
    NamedFormat{CU_AD_FORMAT_SNORM_INT8X1, 1, 8, cudaChannelFormatKindSignedNormalized8X1},
    NamedFormat{CU_AD_FORMAT_SNORM_INT8X2, 2, 8, cudaChannelFormatKindSignedNormalized8X2},
    NamedFormat{CU_AD_FORMAT_SNORM_INT8X4, 4, 8, cudaChannelFormatKindSignedNormalized8X4},
    NamedFormat{CU_AD_FORMAT_SNORM_INT16X1, 1, 16, cudaChannelFormatKindSignedNormalized16X1},
    NamedFormat{CU_AD_FORMAT_SNORM_INT16X2, 2, 16, cudaChannelFormatKindSignedNormalized16X2},
    NamedFormat{CU_AD_FORMAT_SNORM_INT16X4, 4, 16, cudaChannelFormatKindSignedNormalized16X4},
};

// Channels in use, from the first on and all of one width; 0 for a descriptor that is neither.
unsigned channelCount(const cudaChannelFormatDesc& channel) {
  const std::array widths = {channel.x, channel.y, channel.z, channel.w};
  unsigned count = 0;
  while (count < widths.size() && widths[count] != 0) {
    if (widths[count] != channel.x) return 0;
    ++count;
  }
  for (unsigned i = count; i < widths.size(); ++i) {
    if (widths[i] != 0) return 0;
  }
  return count == 3 ? 0 : count;
}

cudaChannelFormatDesc describe(int bits, unsigned channels, cudaChannelFormatKind kind) {
  return {bits, channels > 1 ? bits : 0, channels > 2 ? bits : 0, channels > 3 ? bits : 0, kind};
}

}  // namespace

cudaError_t toDriver(const cudaChannelFormatDesc& channel, ArrayFormat* format) {
  for (const NamedFormat& row : kNamed) {
    if (row.kind != channel.f) continue;
    *format = {row.format, row.channels};
    return cudaSuccess;
  }
  unsigned channels = channelCount(channel);
  for (const PlainFormat& row : kPlain) {
    if (channels == 0 || row.kind != channel.f || row.bits != channel.x) continue;
    *format = {row.format, channels};
    return cudaSuccess;
  }
  return cudaErrorInvalidChannelDescriptor;
}

cudaError_t toRuntime(CUarray_format format, unsigned channels, cudaChannelFormatDesc* channel) {
  for (const NamedFormat& row : kNamed) {
    if (row.format != format) continue;
    *channel = describe(row.bits, row.channels, row.kind);
    return cudaSuccess;
  }
  for (const PlainFormat& row : kPlain) {
    if (row.format != format) continue;
    *channel = describe(row.bits, channels, row.kind);
    return cudaSuccess;
  }
  return cudaErrorInvalidChannelDescriptor;
}

size_t elementBytes(CUarray_format format, unsigned channels) {
  for (const NamedFormat& row : kNamed) {
    if (row.format == format) return static_cast<size_t>(row.bits) / 8 * row.channels;
  }
  for (const PlainFormat& row : kPlain) {
    if (row.format == format) return static_cast<size_t>(row.bits) / 8 * channels;
  }
  return 0;
}

}  // namespace vgpu::cudart
