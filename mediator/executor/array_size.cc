#include "mediator/executor/array_size.h"

#include <algorithm>

namespace vgpu::executor {
namespace {

// Of one channel. Packed and compressed formats take less than what is said of those that are not listed.
uint64_t channelBytes(CUarray_format format) {
  switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
      return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
      return 2;
    default:
      return 4;
  }
}

}  // namespace

uint64_t arrayBytes(const CUDA_ARRAY3D_DESCRIPTOR& array) {
  uint64_t bytes = product(channelBytes(array.Format), std::max(array.NumChannels, 1u));
  for (const size_t extent : {array.Width, array.Height, array.Depth})
    bytes = product(bytes, std::max<size_t>(extent, 1));
  return bytes;
}

uint64_t mipmappedBytes(CUDA_ARRAY3D_DESCRIPTOR array, unsigned levels) {
  constexpr unsigned kMostLevels = 64;  // then all extents are 1
  const bool layered = array.Flags & CUDA_ARRAY3D_LAYERED;
  uint64_t sum = 0;
  for (unsigned level = 0; level < std::min(levels, kMostLevels); ++level) {
    if (__builtin_add_overflow(sum, arrayBytes(array), &sum)) return UINT64_MAX;
    array.Width = std::max<size_t>(array.Width / 2, 1);
    array.Height /= 2;
    if (!layered) array.Depth /= 2;
  }
  return sum;
}

}  // namespace vgpu::executor
